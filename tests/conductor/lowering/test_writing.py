"""Writes into a piece are stored; whoever reads the whole inside the program is blocked."""

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.graph.nodes import NodeKind
from gint.conductor.lowering.emitter import BlockedError, emit
from tests.conductor.graphs import read, returned

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def test_the_piece_alone_is_stored():
    graph = read(lambda x, y: aten.slice_scatter(x, y.exp(), 1, 1, 3), (4, 5), (4, 2))
    (node,) = returned(graph)
    assert graph.kinds[node] is NodeKind.COMPUTE
    made = emit(graph, {node}, [node], [node], 64)
    assert made.recording.extents == (4, 2)
    assert [(s.node.name, s.offset, s.strides) for s in made.slots] == [
        ("y_1", 0, (2, 1)), (node.name, 1, (5, 1)),
    ]  # fmt: skip


def test_reading_the_whole_needs_memory():
    graph = read(lambda x, y: aten.slice_scatter(x, y, 1, 1, 3) + 1, (4, 5), (4, 2))
    (node,) = returned(graph)
    with pytest.raises(BlockedError) as found:
        emit(graph, {node}, [node], [node], 64)
    assert found.value.node.name == "slice_scatter"


def test_what_a_program_cannot_write_is_left_whole():
    graph = read(lambda x, y: aten.slice_scatter(x[:, :3], y, 1, 0, 2), (4, 5), (4, 2))
    assert graph.kinds[returned(graph)[0]] is NodeKind.EXTERN
