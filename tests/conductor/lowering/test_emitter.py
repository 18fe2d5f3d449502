"""Programs emitted onto what another has are those that are emitted at once."""

import pytest

torch = pytest.importorskip("torch")

from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.nodes import Graph
from gint.conductor.lowering.emitter import UnfitError, emit
from gint.conductor.lowering.kinds import read_graph

pytestmark = pytest.mark.torch
MOST = 8


def read(function, *shapes) -> tuple[Graph, list[fx.Node]]:
    """The graph, and the nodes of its results."""
    with FakeTensorMode():
        traced = make_fx(function)(*[torch.empty(shape) for shape in shapes])
    graph = read_graph(traced.graph, "cpu", None)
    return graph, [graph.base(n) for n in list(traced.graph.nodes)[-1].args[0]]


def same(a, b) -> bool:
    return (a.bytecode, a.extents, a.params, a.slots, a.outputs) == (
        b.bytecode, b.extents, b.params, b.slots, b.outputs
    )  # fmt: skip


CASES = {
    "one reads the other": lambda x, y: ((a := (x + y).exp()), a * 2),
    "two reductions": lambda x, y: (x.sum(-1), (x * y).amax(-1)),
    "a row joins a reduction": lambda x, y: (x.sum(-1), torch.softmax(x * y, -1)),
    "split by both": lambda x, y: (
        ((x + 1).view(4, 2, 3) * y.view(4, 2, 3)).reshape(4, 6) * 2, x + y,
    ),
    "split by the second": lambda x, y: (
        x + y, ((x * y).view(4, 2, 3).transpose(1, 2) + 1).transpose(1, 2).reshape(4, 6) * 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_begun_goes_on_as_if_at_once(name: str) -> None:
    graph, members = read(CASES[name], (4, 6), (4, 6))
    stored = set(members)
    begun = emit(graph, stored, members[:1], members[:1], MOST)
    before = begun.bytecode, begun.slots
    joined = emit(graph, stored, members, members, MOST, begun)
    assert same(joined, emit(graph, stored, members, members, MOST))
    assert (begun.emitter.builder.program(), begun.slots) == before
    fewer = emit(graph, stored, members, members[:1], MOST, joined)
    assert same(fewer, emit(graph, stored, members, members[:1], MOST))


def test_what_is_stored_since_is_loaded() -> None:
    def f(x, y):
        inner = (x + y).exp()
        return inner * 2, inner.sin()

    graph, members = read(f, (4,), (4,))
    (inner,) = (n for n in graph.fx.nodes if n.name == "exp")
    begun = emit(graph, set(members), members[:1], members[:1], MOST)
    joined = emit(graph, {*members, inner}, members, members, MOST, begun)
    assert inner in {slot.node for slot in joined.slots}


def test_a_value_that_does_not_fit_leaves_what_was_begun() -> None:
    graph, members = read(lambda x, y: (x + 1, y + 1), (4,), (5,))
    begun = emit(graph, set(members), members[:1], members[:1], MOST)
    before = begun.bytecode
    with pytest.raises(UnfitError):
        emit(graph, set(members), members, members, MOST, begun)
    assert begun.emitter.builder.program() == before


def test_equal_programs_are_verified_once() -> None:
    graph, members = read(lambda x, y: (x * 2 + 1, y * 2 + 1), (4,), (5,))
    one, two = (emit(graph, set(members), [m], [m], MOST) for m in members)
    assert one.verified is two.verified


def test_the_bound_holds_for_instructions_and_registers() -> None:
    def f(x):
        return torch.softmax(x, -1), torch.var_mean(x * 2, -1)[0]

    graph, members = read(f, (4, 6))
    for count in (1, 2):
        made = emit(graph, set(members), members[:count], members[:count], MOST)
        assert made.most_instructions >= made.bytecode.instruction_count
        assert made.most_instructions >= made.bytecode.register_count
