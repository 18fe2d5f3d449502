"""What equal layers are given is what emission would have made of each."""

from __future__ import annotations

from random import Random

import pytest

torch = pytest.importorskip("torch")

from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.nodes import Graph, NodeKind
from gint.conductor.lowering.emitter import BlockedError, UnfitError, emit
from gint.conductor.lowering.kinds import read_graph
from gint.conductor.partition import partitioning
from gint.conductor.partition.layers import Layers
from gint.conductor.partitioner import GraphPartitioner
from tests.conductor.comparing import Call, Traced
from tests.conductor.generated import random_function

pytestmark = pytest.mark.torch
aten = torch.ops.aten
MOST = 8


def read(function, *shapes, dynamic: bool = False) -> tuple[Graph, list[fx.Node]]:
    """The graph, and the nodes of its results."""
    mode = "symbolic" if dynamic else "fake"
    traced = make_fx(function, tracing_mode=mode)(*[torch.empty(shape) for shape in shapes])
    graph = read_graph(traced.graph, "cpu", None)
    return graph, [graph.base(n) for n in list(traced.graph.nodes)[-1].args[0]]


def outcome(emitting, *arguments):
    """What is made, down to names, or what was raised."""
    try:
        made = emitting(*arguments)
    except BlockedError as error:
        return error.node
    except UnfitError as error:
        return str(error)
    r = made.recording
    said = r.builder.recording(), r.extents, r.params, r.symbols
    return said, made.slots, list(made.members), made.outputs


def assert_equal_to_emission(graph: Graph, known: Layers, members, outputs=None) -> None:
    given = [*members], [*(outputs or members)]
    anew = outcome(emit, graph, known.stored, *given, known.max_slots)
    assert outcome(known.emit, *given) == anew


def recordings(function, *shapes, dynamic: bool = False) -> int:
    """How many programs were recorded for the results of a function, each by itself."""
    graph, members = read(function, *shapes, dynamic=dynamic)
    known = Layers(graph, set(members), MOST)
    for member in members:
        assert_equal_to_emission(graph, known, [member])
    return len({id(known.emit([m], [m]).recording) for m in members})


ALIKE = {
    "other inputs": lambda x, y, z: (x * 2 + 1, y * 2 + 1),
    "views of them": lambda x, y, z: (x.t().exp() + x, y.t().exp() + y),
    "slices": lambda x, y, z: (x[1:].exp(), y[1:].exp()),
    "rows": lambda x, y, z: (torch.softmax(x * y, -1), torch.softmax(y * x, -1)),
    "several results": lambda x, y, z: (
        torch.var_mean(x, -1)[0] + 1, torch.var_mean(y, -1)[0] + 1,
    ),
    "a split axis": lambda x, y, z: (
        ((x + 1).view(2, 2, 4).transpose(0, 1) * 2), ((y + 1).view(2, 2, 4).transpose(0, 1) * 2),
    ),
}  # fmt: skip
APART = {
    "another number": lambda x, y, z: (x * 2 + 1, y * 2.5 + 1),
    "a zero of another sign": lambda x, y, z: (x * 0.0, y * -0.0),
    "a number of another kind": lambda x, y, z: ((x > 0) * 1, (y > 0) * 1.0),
    "an operand twice": lambda x, y, z: (x * x, x * y),
    "other strides": lambda x, y, z: (x.exp(), y.t().exp()),
    "another offset": lambda x, y, z: (x[1:3].exp(), y[2:].exp()),
    "another size": lambda x, y, z: (x.exp(), z.exp()),
    "another type": lambda x, y, z: (x.exp(), y.to(torch.bfloat16).exp()),
    "another dimension": lambda x, y, z: (x.sum(0), y.sum(1)),
    "operands in another order": lambda x, y, z: ((x.exp() - y), (y - x.exp())),
}


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "symbolic"])
def test_equal_layers_are_recorded_once(name: str, dynamic: bool) -> None:
    assert recordings(ALIKE[name], (4, 4), (4, 4), (5, 3), dynamic=dynamic) == 1


@pytest.mark.parametrize("name", APART)
def test_what_differs_is_recorded_apart(name: str) -> None:
    assert recordings(APART[name], (4, 4), (4, 4), (5, 3)) == 2


def test_values_in_one_program_keep_what_they_share() -> None:
    def f(x, y):
        return x + 1, (x + 1).exp(), y + 1, (x + 1).sin()

    graph, (a, b, c, d) = read(f, (4,), (4,))
    known = Layers(graph, {a, b, c, d}, MOST)
    for members in ([a, b], [c, b], [a, d], [c, d], [b, a], [b, c]):
        assert_equal_to_emission(graph, known, members)
        assert_equal_to_emission(graph, known, members, members[:1])
        assert_equal_to_emission(graph, known, members, members[1:])


def test_what_is_stored_since_is_loaded() -> None:
    def f(x, y):
        return (x + y).exp() * 2, (y + x).exp() * 2

    graph, members = read(f, (4,), (4,))
    known = Layers(graph, set(members), MOST)
    first, second = members
    assert_equal_to_emission(graph, known, [first])
    inner = next(n for n in graph.fx.nodes if n.target is aten.exp.default)
    known.stored.add(inner)
    assert_equal_to_emission(graph, known, [first])
    assert_equal_to_emission(graph, known, [second])


def test_what_fails_fails_again_of_its_own_nodes() -> None:
    def f(x, y):
        return x.cumsum(0).cumsum(1), y.cumsum(0).cumsum(1), x + 1, y.t()[1:] + 1

    graph, (a, b, wide, narrow) = read(f, (4, 4), (4, 4))
    known = Layers(graph, {a, b, wide, narrow}, MOST)
    for members in ([a], [b], [wide, narrow], [wide, narrow]):
        assert_equal_to_emission(graph, known, members)
    assert {outcome(known.emit, [n], [n]) for n in (a, b)} <= set(graph.fx.nodes)
    assert "does not fit" in outcome(known.emit, [wide, narrow], [wide, narrow])


def test_positions_that_may_count_from_the_end_are_seen_beyond_what_is_loaded() -> None:
    def f(x):
        forwards, backwards = torch.arange(4), torch.arange(4) - 4
        return forwards * 1, backwards * 1, x[forwards * 1], x[backwards * 1]

    graph, (forwards, backwards, *picked) = read(f, (4,))
    known = Layers(graph, {forwards, backwards, *picked}, MOST)
    for member in picked:
        assert graph.kinds[member] is NodeKind.COMPUTE
        assert_equal_to_emission(graph, known, [member])


@pytest.mark.parametrize("number", range(12))
def test_whatever_a_partition_asks_for(number: int, monkeypatch) -> None:
    """A generated function on two sets of inputs, as two layers."""
    function = random_function(Random(f"function {number}"))
    count = len(function.inputs)

    def layers_of_two(*tensors):
        return *function(*tensors[:count]), *function(*tensors[count:])

    given = [x.clone(memory_format=torch.preserve_format) for x in function.inputs]
    traced = Traced(Call.of(layers_of_two, *function.inputs, *given))
    graph = read_graph(traced.module.graph, "cpu", None)
    asked: list[tuple] = []

    class Watched(Layers):
        def emit(self, members, outputs):
            asked.append((self, {*self.stored}, [*members], [*outputs]))
            return super().emit(members, outputs)

    monkeypatch.setattr(partitioning, "Layers", Watched)
    GraphPartitioner(MOST).partition(graph)
    assert asked
    for known, stored, members, outputs in [*asked]:
        known.stored = stored
        assert_equal_to_emission(graph, known, members, outputs)
