"""Partitions of generated graphs: each value is made once and before it is read, within bounds."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.nodes import Graph, NodeKind
from gint.conductor.lowering import rules
from gint.conductor.lowering.kinds import read_graph
from gint.conductor.lowering.rules import NotLowerableError
from gint.conductor.partition import partitioning
from gint.conductor.partition.order import mutates
from gint.conductor.partitioner import GraphPartitioner, Partition

from .comparing import Call, Traced
from .generated import random_function

pytestmark = pytest.mark.torch
aten = torch.ops.aten
MATRIX = torch.zeros(4, 6)


def read(function, *args: torch.Tensor, **how) -> Graph:
    return read_graph(Traced(Call.of(function, *args)).module.graph, "cpu", None, **how)


def launches(partition: Partition) -> list[list[str]]:
    """The names of what each program stores."""
    return [[n.name for n in u.program.outputs] for u in partition.units if u.is_launch]


def assert_sound(graph: Graph, partition: Partition) -> None:
    """Everything is made once, before it is read; what is left whole is one unit each."""
    made, epoch = set(), 0
    for unit in partition.units:
        if unit.is_launch:
            outputs = set(unit.program.outputs)
            reads = {slot.node for slot in unit.program.slots} - outputs
            assert outputs <= set(unit.nodes)
        else:
            (node,) = unit.nodes
            outputs, reads = {node}, {graph.base(n) for n in node.all_input_nodes}
        assert unit.epoch >= epoch
        epoch = unit.epoch
        assert not outputs & made
        assert all(n in made or graph.kinds[n] is NodeKind.INPUT for n in _tensors(graph, reads))
        made |= outputs
    whole = {n for n, k in graph.kinds.items() if k in (NodeKind.EXTERN, NodeKind.FALLBACK)}
    assert {n for n in made if n in whole} == whole
    output = next(reversed(graph.fx.nodes))
    returned = _tensors(graph, {graph.base(n) for n in output.all_input_nodes})
    assert all(n in made or graph.kinds[n] is NodeKind.INPUT for n in returned)


def _tensors(graph: Graph, nodes):
    """The memory among these nodes: several results are their items', numbers are the host's."""
    return {n for n in nodes if graph.kinds[n] not in (NodeKind.TUPLE, NodeKind.SCALAR)}


@given(st.integers(0, 2**32), st.integers(2, 8), st.sampled_from((6, 12, 4096)))
@example(108178768, 4, 6)  # what is stored for itself alone must be, or 9 registers are taken
@settings(max_examples=25)
def test_generated_graphs(seed, max_tensors, max_registers):
    generated = random_function(Random(seed))
    graph = read(generated, *generated.inputs)
    limits = GraphPartitioner(max_tensors, check=True, max_registers=max_registers)
    partition = limits.partition(graph)
    assert_sound(graph, partition)
    for unit in partition.units:
        if unit.is_launch:
            assert len(unit.program.slots) <= max_tensors
            assert unit.program.recording.verified.program.register_count <= max_registers


# What shares a program


def partitioned(function, *args, **limits) -> list[list[str]]:
    graph = read(function, *args)
    partition = GraphPartitioner(check=True, **limits).partition(graph)
    assert_sound(graph, partition)
    return launches(partition)


def matrices(count: int) -> list[torch.Tensor]:
    return [torch.zeros(4, 6) for _ in range(count)]


def test_what_is_read_together_is_computed_together():
    assert partitioned(lambda a, b: (a + b, a * b), *matrices(2)) == [["add", "mul"]]
    assert partitioned(lambda a, b: (a.neg(), b.neg()), *matrices(2)) == [["neg"], ["neg_1"]]
    # The axes of the second do not agree with those of the first.
    assert len(partitioned(lambda a, b: (a.neg(), a @ b.t()), *matrices(2))) == 1
    assert len(partitioned(lambda a: (a.neg(), a.t().reshape(3, 8).exp()), *matrices(1))) == 2


def test_a_program_too_large_is_cut_at_the_nearest_value():
    """Three tensors to a program: each step of a sum of four needs its own."""

    def total(a, b, c, d):
        return (a + b + c + d,)

    assert partitioned(total, *matrices(4)) == [["add_2"]]
    steps = [["add"], ["add_1"], ["add_2"]]
    assert partitioned(total, *matrices(4), max_tensors=3) == steps


def test_registers_bound_a_program_too():
    def steps(a):
        values = [a * k for k in range(2, 12)]
        while len(values) > 1:
            values = [x + y.exp() for x, y in zip(values[::2], values[1::2], strict=False)]
        return (values[0],)

    assert len(partitioned(steps, *matrices(1))) == 1
    assert len(partitioned(steps, *matrices(1), max_registers=12)) > 1


def test_a_value_that_only_its_own_program_reads_is_not_stored():
    """Two users had better load the product; but they are where it is made."""

    def users(a, b):
        product = a * b
        return product.abs(), product.neg()

    assert partitioned(users, *matrices(2)) == [["abs_1", "neg"]]
    row, column = torch.zeros(6), torch.zeros(6, 1)
    assert partitioned(lambda r, c: (r.exp() * c,), row, column) == [["exp"], ["mul"]]


def test_programs_do_not_grow_for_ever():
    count = partitioning._MAX_MEMBERS + 3
    found = partitioned(
        lambda a: [a * k for k in range(2, 2 + count)], *matrices(1), max_tensors=64
    )
    assert [len(names) for names in found] == [partitioning._MAX_MEMBERS, 3]


def test_a_program_does_not_wait_for_itself():
    """The last value reads what the first program makes and what is computed of it by ATen."""
    found = partitioned(lambda a: (b := a.neg(), c := b @ b.t() @ b, b + c), *matrices(1))
    assert found == [["neg"], ["add"]]


# Refusals found while emitting


@pytest.fixture
def broken(monkeypatch):
    """Makes the lowering of tanh raise."""
    table = rules._RULES

    def fail(error):
        def rule(context):
            raise error

        monkeypatch.setitem(table, aten.tanh.default, rule)
        return read(lambda a: (a.neg().tanh().abs(),), MATRIX)

    return fail


def test_a_node_that_cannot_be_lowered_is_left_to_eager_and_the_rest_is_not(broken):
    graph = broken(NotLowerableError("not this one"))
    partition = GraphPartitioner(check=True).partition(graph)
    assert_sound(graph, partition)
    assert launches(partition) == [["neg"], ["abs_1"]]
    assert [r.reason for r in graph.refusals.values()] == ["not this one"]


def test_a_bug_in_a_rule_is_a_reason_too_unless_it_is_to_be_seen(broken):
    graph = broken(ZeroDivisionError("oh"))
    with pytest.raises(ZeroDivisionError):
        GraphPartitioner(check=True).partition(graph)
    partition = GraphPartitioner().partition(graph)
    assert_sound(graph, partition)
    assert [r.reason for r in graph.refusals.values()] == [
        "the lowering failed: ZeroDivisionError: oh"
    ]


def test_a_type_the_device_lacks_inside_a_program():
    """An arange is computed in float64, though its values are float32."""
    types = frozenset({"f32", "bool", "i32"})
    graph = read(lambda a: (a + torch.arange(6, dtype=torch.float32),), MATRIX, types=types)
    partition = GraphPartitioner(types=types, check=True).partition(graph)
    assert_sound(graph, partition)
    reasons = {r.reason for r in graph.refusals.values()}
    assert reasons == {"it is computed in f64, which the device lacks"}


# Mutations


def test_what_was_computed_before_a_mutation_is_not_computed_again_after_it():
    """`old` is of the input as it was; stored, it stays so."""

    def function(a, b):
        old = a.neg()
        a.copy_(b)
        return (old + a,)

    graph = read_graph(make_fx(function, tracing_mode="fake")(*matrices(2)).graph, "cpu", None)
    partition = GraphPartitioner(check=True).partition(graph)
    copy = next(n for n in graph.fx.nodes if mutates(n))
    kinds = [u.is_launch or u.nodes[0] is copy for u in partition.units]
    assert kinds == [True] * 3
    assert launches(partition) == [["neg"], ["add"]]
    assert [u.epoch for u in partition.units] == [0, 1, 2]
