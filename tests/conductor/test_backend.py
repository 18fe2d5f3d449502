"""`torch.compile(backend="gint")` as a user meets it: registration, options, fallback, results,
threads."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


from gint.backend import protocol, registry
from gint.conductor import gint_backend, register_backend
from gint.conductor.lowering.rules import rules

from .comparing import assert_like_eager, compiled

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]
F = torch.nn.functional


# Registration


@pytest.mark.parametrize(
    "order",
    [
        "c.register_backend(); c.register_backend(); registry.list_backends()",
        "registry.list_backends(); c.register_backend(); c.register_backend()",
    ],
)
def test_registration_in_any_order_any_number_of_times(order: str) -> None:
    code = (
        "import torch; from torch._dynamo.backends import registry; import gint.conductor as c;"
        f"{order};"
        "assert registry.lookup_backend('gint').__name__ == 'gint_backend';"
        "assert 'gint' in registry.list_backends(); c.register_backend()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


_FIRST_USES = """
import sys, threading, tomllib
from importlib.metadata import EntryPoint
import torch
from torch._dynamo.backends import registry

sys.setswitchinterval(1e-6)
table = tomllib.load(open("pyproject.toml", "rb"))["project"]["entry-points"]
((name, value),) = table[group := "torch_dynamo_backends"].items()
registry._lazy_import()
registry._BACKENDS[name] = EntryPoint(name, value, group)
together, failed = threading.Barrier(8), []

def use(n):
    together.wait()
    try:
        if n % 4 == 3:
            from gint.conductor import register_backend
            register_backend()
        f = torch.compile(lambda x: x + n, backend="gint", options={"check": True})
        assert f(torch.ones(3)).tolist() == [1 + n] * 3
    except BaseException as error:
        failed.append(repr(error))

threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
assert not failed, failed
"""


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13),
    reason="torch 2.11 crashes where threads compile at once, with its own backend `eager` too",
)
def test_eight_threads_may_use_the_backend_first() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FIRST_USES],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_name_is_the_backend() -> None:
    register_backend()
    assert torch._dynamo.lookup_backend("gint") is gint_backend


# Options


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"chek": True}, "no option 'chek'. Allowed: backend, check, max_tensors"),
        ({"backend": "gpu"}, "There is no backend 'gpu'. Known: cuda, opencl, cpp, python"),
        ({"check": "yes"}, "'check' is True or False, not 'yes'"),
        ({"max_tensors": 1}, "'max_tensors' is at least 2, not 1"),
        ({"max_tensors": "8"}, "'max_tensors' is a whole number, not '8'"),
    ],
)
def test_wrong_options_raise_and_name_the_allowed_ones(given: dict, said: str) -> None:
    with pytest.raises(Exception, match=said):
        torch.compile(lambda x: x + 1, backend=gint_backend, options=given)(torch.ones(2))


def test_mode_is_accepted(options) -> None:
    register_backend()
    f = torch.compile(lambda x: x * 2, backend="gint", mode="reduce-overhead")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f(torch.ones(3)).tolist() == [2, 2, 2]


def test_option_backend_chooses_the_interpreter(options) -> None:
    (made,) = assert_like_eager(lambda x: x * 2, options, torch.randn(5))
    assert made.backend == options["backend"]


def test_option_max_tensors(options) -> None:
    def f(a, b, c, d):
        return a * b + c * d

    (made,) = assert_like_eager(f, {**options, "max_tensors": 3}, *torch.randn(4, 6).unbind())
    assert made.programs > 1


# Fallback


def test_an_unsupported_operator_falls_back_with_a_reason(options) -> None:
    (made,) = assert_like_eager(lambda x: torch.lgamma(x * 2) + 1, options, torch.rand(5) + 1)
    (refusal,) = made.fallbacks
    assert refusal.op == "aten.lgamma.default"
    assert "no lowering rule" in refusal.reason
    assert made.programs == 2


def test_complex_tensors_fall_back(options) -> None:
    (made,) = assert_like_eager(lambda x, y: (x * x).real + y, options,
                                torch.randn(4, dtype=torch.complex64), torch.randn(4))  # fmt: skip
    assert any("complex64" in r.reason for r in made.fallbacks)


def test_a_custom_operator_falls_back(options) -> None:
    @torch.library.custom_op("gint_tests::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    twice.register_fake(torch.empty_like)
    (made,) = assert_like_eager(lambda x: twice(x + 1) - 1, options, torch.randn(7))
    assert [r.op for r in made.fallbacks] == ["gint_tests.twice.default"]


@pytest.fixture
def broken_tanh(monkeypatch):
    def broken(context):
        raise KeyError("a bug")

    monkeypatch.setitem(_registry(), torch.ops.aten.tanh.default, broken)


def _registry() -> dict:
    from gint.conductor.lowering.rules import _RULES

    return _RULES


def test_an_exception_in_a_lowering_is_recorded_and_falls_back(broken_tanh, options) -> None:
    unchecked = {**options, "check": False}
    (made,) = assert_like_eager(lambda x: (x + 1).tanh() * 2, unchecked, torch.randn(4))
    (refusal,) = made.fallbacks
    assert refusal.op == "aten.tanh.default"
    assert refusal.reason == "the lowering failed: KeyError: 'a bug'"


def test_check_raises_the_exception_in_a_lowering(broken_tanh, options) -> None:
    with pytest.raises(Exception, match="a bug"):
        compiled(lambda x: x.tanh(), options)(torch.randn(4))


def test_rules_is_a_copy() -> None:
    rules().clear()
    assert rules()


# Results that are no tensors


def test_none_numbers_and_nested_results(options) -> None:
    def f(x, n):
        return {"a": x + n, "b": None, "c": (n, x.shape[0], 2.5)}

    assert_like_eager(f, options, torch.randn(3), 4)


def test_empty_graphs(options) -> None:
    x = torch.randn(3)
    assert compiled(lambda x: x, options)(x) is x
    assert compiled(lambda x: None, options)(x) is None
    assert compiled(lambda: torch.ones(2), options)().tolist() == [1, 1]


def test_dead_code_is_not_computed(options) -> None:
    def f(x):
        dead = x.tanh().sum() + x  # noqa: F841
        return x + 1

    (made,) = assert_like_eager(f, options, torch.randn(3))
    assert "tanh" not in "".join(made.listings)


def test_constants_and_parameters_in_the_graph(options) -> None:
    weight = torch.randn(4)
    assert_like_eager(lambda x: x * weight + torch.tensor([1.0, 2.0, 3.0, 4.0]), options,
                      torch.randn(3, 4))  # fmt: skip


def test_graph_breaks(options) -> None:
    def f(x):
        y = x * 2
        torch._dynamo.graph_break()
        if y.sum() > 0:
            return y + 1
        return y - 1

    made = assert_like_eager(f, options, torch.ones(5))
    assert len(made) >= 2


def test_data_dependent_shapes(options) -> None:
    assert_like_eager(lambda x: x[x > 0] * 2, options, torch.randn(20))
    assert_like_eager(lambda x: (x > 0).nonzero() + 1, options, torch.randn(20))
    assert_like_eager(lambda x: x * x.max().item(), options, torch.randn(20))


def test_division_by_zero_raises_as_eager_does(options) -> None:
    f = compiled(lambda x, y: x // y, options)
    x = torch.tensor([4, 5])
    assert f(x, torch.tensor([2, 3])).tolist() == [2, 1]
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        f(x, torch.tensor([2, 0]))
    assert f(x, torch.tensor([2, 3])).tolist() == [2, 1]


# One function beside another


def test_two_compiled_functions_do_not_influence_each_other(options) -> None:
    f = compiled(lambda x: x + 1, {**options, "max_tensors": 2})
    g = compiled(lambda x: x + 1, options)
    x = torch.randn(4)
    torch.testing.assert_close(f(x), g(x))
    torch.testing.assert_close(f(x[:2]), g(x[:2]))
    assert f(x).data_ptr() != g(x).data_ptr()


def test_threads_share_a_compiled_function(options) -> None:
    def f(x):
        return (x * 2 + 1).softmax(-1)

    g, x = compiled(f, options), torch.randn(50, 33)
    g(x)
    failures = []

    def work(seed: int) -> None:
        y = x + seed
        for _ in range(20):
            if not torch.allclose(g(y), f(y)):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_without_a_backend_for_its_device_everything_is_left_to_eager(monkeypatch) -> None:
    from gint.conductor import selection

    missing = protocol.Probe(False, "not built here")
    monkeypatch.setattr(registry, "probe", lambda name: missing)
    selection._say_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="leaves everything to eager: .*not built here"):
        (made,) = assert_like_eager(lambda x: x * 2 + 1, {}, torch.randn(4))
    assert made.programs == 0
    assert made.backend == ""
    assert all("not built here" in r.reason for r in made.fallbacks)
    selection._say_once.cache_clear()


def test_a_type_the_device_does_not_compute_in_is_left_to_eager(monkeypatch) -> None:
    from gint.backend import registry

    cpp = registry.backend("cpp")
    without = protocol.Capabilities(types=protocol.ALL_TYPES - {"f64"})
    monkeypatch.setattr(type(cpp), "capabilities", without)
    (made,) = assert_like_eager(lambda x: x * 2 + 1, {}, torch.randn(4, dtype=torch.float64))
    assert made.programs == 0
    assert all("does not compute in torch.float64" in r.reason for r in made.fallbacks)
    # A parameter is f64 and known at launch: the host computes with it.
    (made,) = assert_like_eager(lambda x, a: x * a, {}, torch.randn(4), 0.3)
    assert (made.programs, made.fallbacks) == (1, ())
