"""`torch.compile(backend="gint")` as a user meets it: registration, options, fallback, mutation,
aliasing, training, threads."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from gint.backend import protocol, registry
from gint.conductor import gint_backend, register_backend, statistics
from gint.conductor.lowering.rules import rules

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]
F = torch.nn.functional


def compiled(function, options: dict, **more):
    return torch.compile(function, backend=gint_backend, options=options, **more)


def assert_like_eager(function, options: dict, *args, **more):
    """Call on the same arguments compiled and eagerly; the records of what was compiled."""
    before = len(statistics())
    found = compiled(function, options, **more)(*args)
    torch.testing.assert_close(found, function(*args))
    return statistics()[before:]


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


# Mutation and aliasing


def test_inputs_changed_in_place(options) -> None:
    def f(x, y):
        x.add_(1)
        y.mul_(x)
        return x * y

    x, y = torch.randn(5), torch.randn(5)
    mine, theirs = [x.clone(), y.clone()], [x.clone(), y.clone()]
    torch.testing.assert_close(compiled(f, options)(*mine), f(*theirs))
    torch.testing.assert_close(mine, theirs)


def test_a_view_of_an_input_changed_in_place(options) -> None:
    def f(x):
        x[1:, ::2].mul_(3)
        return x.sum()

    mine = torch.randn(4, 6)
    theirs = mine.clone()
    torch.testing.assert_close(compiled(f, options)(mine), f(theirs))
    torch.testing.assert_close(mine, theirs)


def test_an_input_read_while_it_is_written(options) -> None:
    def f(x):
        x[1:] += x[:-1].clone()
        return x

    mine = torch.arange(8.0)
    theirs = mine.clone()
    compiled(f, options)(mine)
    f(theirs)
    torch.testing.assert_close(mine, theirs)


def test_out_argument(options) -> None:
    def f(x, out):
        torch.mul(x, 2, out=out)
        return out + 1

    x, mine, theirs = torch.randn(3), torch.zeros(3), torch.zeros(3)
    torch.testing.assert_close(compiled(f, options)(x, mine), f(x, theirs))
    torch.testing.assert_close(mine, theirs)


def test_the_same_tensor_as_two_inputs(options) -> None:
    def f(x, y):
        x.mul_(2)
        return x + y

    mine, theirs = torch.ones(4), torch.ones(4)
    torch.testing.assert_close(compiled(f, options)(mine, mine), f(theirs, theirs))
    torch.testing.assert_close(mine, theirs)


def test_buffers_of_a_module_change(options) -> None:
    torch.manual_seed(0)
    mine, theirs = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    x = torch.randn(8, 4)
    torch.testing.assert_close(compiled(mine, options)(x), theirs(x))
    torch.testing.assert_close(mine.running_var, theirs.running_var)
    assert mine.num_batches_tracked == 1


def test_an_output_that_is_a_view_of_an_input(options) -> None:
    def f(x):
        return x[1:].view(-1), x * 2

    x = torch.randn(4, 3)
    view, _ = compiled(f, options)(x)
    view.zero_()
    assert x[1:].abs().sum() == 0


def test_an_output_that_is_an_input(options) -> None:
    x = torch.randn(3)
    same, other = compiled(lambda x: (x, x + 1), options)(x)
    assert same is x
    torch.testing.assert_close(other, x + 1)


def test_the_same_output_twice(options) -> None:
    def f(x):
        y = x + 1
        return y, y

    a, b = compiled(f, options)(torch.ones(3))
    a.add_(1)
    torch.testing.assert_close(a, b)


def test_an_output_and_its_view(options) -> None:
    def f(x):
        y = x + 1
        return y, y[1:], y.t()

    y, part, turned = compiled(f, options)(torch.ones(3, 4))
    y.zero_()
    assert part.sum() == 0
    assert turned.shape == (4, 3)
    assert turned.sum() == 0


def test_results_kept_are_not_overwritten_by_later_calls(options) -> None:
    f = compiled(lambda x: x * 2, options)
    results = [f(torch.full((100_000,), float(i))) for i in range(6)]
    assert [r[0].item() for r in results] == [2.0 * i for i in range(6)]
    assert [r[-1].item() for r in results] == [2.0 * i for i in range(6)]


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


# Training


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x):
        return self.outer(F.gelu(self.norm(self.inner(x)))).log_softmax(-1)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.norm = nn.Embedding(11, 6), nn.RMSNorm(6)

    def forward(self, x):
        return F.silu(self.norm(self.table(x))).softmax(-1)


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 5, 1))

    def forward(self, x):
        y = (x * self.weight).tanh() + self.weight.exp()
        return (y.var(-1) * y.amax(-1) / (1 + y.mean(-1).sigmoid())).sqrt().nan_to_num()


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Mlp, lambda: torch.randn(6, 8)),
        (Words, lambda: torch.randint(0, 11, (3, 7))),
        (Mixed, lambda: torch.rand(2, 5, 9)),
    ],
)
def test_gradients_are_eager_s(model, inputs, options) -> None:
    torch.manual_seed(0)
    theirs = model()
    mine = model()
    mine.load_state_dict(theirs.state_dict())
    x = inputs()
    weights = torch.randn(theirs(x).shape)
    (theirs(x) * weights).sum().backward()
    (compiled(mine, options)(x) * weights).sum().backward()
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)


def test_gradients_of_inputs_and_losses(options) -> None:
    def loss(x, target):
        return F.cross_entropy(x, target) + F.mse_loss(x.sigmoid(), x) + F.smooth_l1_loss(x, x * 2)

    x, target = torch.randn(6, 5), torch.randint(0, 5, (6,))
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    compiled(loss, options)(mine, target).backward()
    loss(theirs, target).backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_dropout_draws_what_aot_eager_draws(options) -> None:
    def f(x):
        return F.dropout(x * 2, 0.5) + F.dropout(x, 0.25)

    x = torch.ones(64)
    grads = []
    for backend, more in ((gint_backend, {"options": options}), ("aot_eager", {})):
        torch._dynamo.reset()
        torch.manual_seed(5)
        leaf = x.clone().requires_grad_()
        f_compiled = torch.compile(f, backend=backend, **more)
        y = f_compiled(leaf)
        y.sum().backward()
        grads.append((y.detach(), leaf.grad))
    torch.testing.assert_close(grads[0], grads[1])


def test_three_steps_of_an_optimizer(options) -> None:
    losses = []
    for run in (lambda m: m, lambda m: compiled(m, options)):
        torch.manual_seed(1)
        model, x = Mlp(), torch.randn(6, 8)
        step, optimizer = run(model), torch.optim.AdamW(model.parameters(), lr=0.1)
        losses.append([])
        for _ in range(3):
            loss = -step(x)[:, 0].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_grad_modes(mode, options) -> None:
    with mode():
        assert_like_eager(lambda x: (x * 2).softmax(-1), options, torch.randn(3, 5))


def test_autocast(options) -> None:
    torch.manual_seed(0)
    model, x = Mlp(), torch.randn(6, 8)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = compiled(model, options)(x), model(x)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


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
