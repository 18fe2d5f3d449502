"""Lists of tensors taken apart: eager's values and types, in programs, and optimisers' steps."""

from __future__ import annotations

import copy
from itertools import islice

import pytest

torch = pytest.importorskip("torch")

from torch.testing._internal import common_methods_invocations
from torch.utils._python_dispatch import TorchDispatchMode

from gint.conductor.trace import foreach
from gint.conductor.trace.foreach import WRITTEN
from tests.database import samples_of

from ..comparing import Call, assert_like_eager, check

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]

CASES = {
    "add, times alpha": lambda a, b, c: torch._foreach_add(a, b, alpha=2),
    "numbers": lambda a, b, c: torch._foreach_mul(torch._foreach_sub(a, 1.5), [1.0, 2.0, 3.0]),
    "one tensor": lambda a, b, c: torch._foreach_mul(a, b[2]),
    "powers": lambda a, b, c: torch._foreach_pow(2.5, b) + torch._foreach_pow(a, 2),
    "lerp": lambda a, b, c: torch._foreach_lerp(a, b, 0.3) + torch._foreach_lerp(a, b, c),
    "addcmul": lambda a, b, c: torch._foreach_addcmul(a, b, c, 2.0),
    "addcdiv": lambda a, b, c: torch._foreach_addcdiv(a, b, c, [1.0, 2.0, 3.0]),
    "limits": lambda a, b, c: torch._foreach_maximum(a, b) + torch._foreach_clamp_max(a, 0.5),
    "norms": lambda a, b, c: torch._foreach_norm(a) + torch._foreach_norm(a, 1, torch.float64),
    "of one": lambda a, b, c: torch._foreach_sqrt(torch._foreach_abs(a)),
    "integers": lambda a, b, c: torch._foreach_add([x.long() for x in a], 1.5),
}


def _lists() -> list[list[torch.Tensor]]:
    torch.manual_seed(0)
    return [[torch.randn(4, 5), torch.randn(7), torch.tensor(2.0 + n)] for n in range(3)]


@pytest.mark.parametrize("name", CASES)
def test_lists(name, interpreters):
    check(Call.of(CASES[name], *_lists()), interpreters)


def test_lists_that_are_written():
    def step(a, b):
        torch._foreach_add_(a, b)
        torch._foreach_mul_(a, 2.0)
        torch._foreach_copy_(a[:1], [b[0].double()])
        torch._foreach_zero_(a[1:2])
        return a

    a, b, _ = _lists()
    expected = step([x.clone() for x in a], b)
    on_copies = lambda a, b: step([x.clone() for x in a], b)  # noqa: E731
    (record,) = assert_like_eager(on_copies, {"check": True}, a, b)
    assert record.fallbacks == ()
    found = torch.compile(step, backend="gint")(a, b)
    torch.testing.assert_close((found, a), (expected, expected))


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_steps_of_optimisers(kind):
    from gint.conductor import statistics

    net = torch.nn.Linear(5, 3)
    twin = copy.deepcopy(net)
    options = {"lr": 0.1, "foreach": True}
    options |= {} if kind is torch.optim.AdamW else {"momentum": 0.9}
    steps = [kind(m.parameters(), **options).step for m in (net, twin)]
    before, compiled = len(statistics()), torch.compile(steps[1], backend="gint")
    for _ in range(3):
        grads = [torch.randn_like(p) for p in net.parameters()]
        for module, step in ((net, steps[0]), (twin, compiled)):
            for p, grad in zip(module.parameters(), grads, strict=True):
                p.grad = grad.clone()
            step()
    torch.testing.assert_close(list(twin.parameters()), list(net.parameters()))
    records = statistics()[before:]
    assert records
    assert all(record.fallbacks == () for record in records)


#: torch's own samples, for every operator on lists that it has.
OPERATORS = [
    info
    for name in dir(common_methods_invocations)
    if name.startswith("foreach_") and name.endswith("_db")
    for info in getattr(common_methods_invocations, name)
]


class Beside(TorchDispatchMode):
    """Compares what is taken apart with what ATen makes of the same list."""

    def __init__(self) -> None:
        super().__init__()
        self.compared = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        wanted = func(*args, **(kwargs or {}))
        if func in WRITTEN:
            found = WRITTEN[func](*args, **(kwargs or {}))
            torch.testing.assert_close(found, list(wanted), rtol=0, atol=0, equal_nan=True)
            self.compared.add(func)
        return wanted


@pytest.mark.filterwarnings("ignore")
def test_torchs_samples_have_the_same_bits():
    beside = Beside()
    types = (torch.float32, torch.bfloat16, torch.int64, torch.complex64)
    for info in OPERATORS:
        for dtype in types:
            for sample in islice(samples_of(info, dtype), 12):
                call = (sample.input, *sample.args)
                try:
                    info.method_variant(*call, **sample.kwargs)
                except (RuntimeError, IndexError):
                    continue  # eager's refusals are tracing's too
                with torch.no_grad(), beside:
                    info.method_variant(*call, **sample.kwargs)
    assert len(beside.compared) > 60


def test_a_torch_that_lacks_one_of_the_operators(monkeypatch):
    """As 2.11 lacks `_foreach_clone`."""

    class Fewer:
        def __getattr__(self, name: str):
            if name == "_foreach_clone":
                raise AttributeError(name)
            return getattr(torch.ops.aten, name)

    monkeypatch.setattr(foreach, "aten", Fewer())
    lacking = {overload for overload in WRITTEN if "_foreach_clone" in str(overload)}
    assert WRITTEN.keys() - foreach._written().keys() == lacking
