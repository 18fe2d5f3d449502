"""Numbers on the CPU that are combined with tensors of a device, on fake tensors of one."""

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.lowering.numbers import bring_numbers

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def traced(function, device="cuda"):
    with FakeTensorMode():
        x, number = torch.empty(3, device=device), torch.empty(())
        return make_fx(function)(x, number).graph


def targets(graph) -> list[str]:
    return [str(n.target) for n in graph.nodes if n.op == "call_function"]


def test_a_number_is_copied_once():
    graph = traced(lambda x, n: (x * n, x + n))
    bring_numbers(graph, "cuda")
    graph.lint()
    assert targets(graph) == ["aten._to_copy.default", "aten.mul.Tensor", "aten.add.Tensor"]
    copied = next(n for n in graph.nodes if n.op == "call_function")
    assert copied.meta["val"].device.type == "cuda"
    assert copied.kwargs == {"device": torch.device("cuda:0"), "non_blocking": True}


def test_a_constant_is_made_on_the_device():
    graph = traced(lambda x, n: x * torch.full((), 2.5))
    bring_numbers(graph, "cuda")
    assert targets(graph) == ["aten.full.default", "aten.mul.Tensor"]
    assert next(n for n in graph.nodes if n.op == "call_function").kwargs["device"].type == "cuda"


@pytest.mark.parametrize(
    ("function", "device"),
    [
        (lambda x, n: x * n, "cpu"),
        (lambda x, n: (x * 2, n * 2), "cuda"),  # apart: torch leaves each where it is
    ],
)
def test_nothing_is_brought(function, device):
    graph = traced(function, device)
    before = str(graph)
    bring_numbers(graph, device)
    assert str(graph) == before
