"""What is said of a recorded program, before it is one and after."""

import pytest

torch = pytest.importorskip("torch")

from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.nodes import Graph
from gint.conductor.lowering.emitter import emit
from gint.conductor.lowering.kinds import read_graph

pytestmark = pytest.mark.torch
MOST = 8


def read(function, *shapes) -> tuple[Graph, list[fx.Node]]:
    """The graph, and the nodes of its results."""
    with FakeTensorMode():
        traced = make_fx(function)(*[torch.empty(shape) for shape in shapes])
    graph = read_graph(traced.graph, "cpu", None)
    return graph, [graph.base(n) for n in list(traced.graph.nodes)[-1].args[0]]


def test_equal_programs_are_verified_once() -> None:
    graph, members = read(lambda x, y: (x * 2 + 1, y * 2 + 1), (4,), (5,))
    one, two = (emit(graph, set(members), [m], [m], MOST).recording for m in members)
    assert one is not two
    assert one.verified is two.verified


def test_the_bound_holds_for_instructions_and_registers() -> None:
    def f(x):
        return torch.softmax(x, -1), torch.var_mean(x * 2, -1)[0]

    graph, members = read(f, (4, 6))
    for count in (1, 2):
        made = emit(graph, set(members), members[:count], members[:count], MOST).recording
        assert made.most_instructions >= made.bytecode.instruction_count
        assert made.most_instructions >= made.bytecode.register_count
