"""Writes into pieces: which a program can do, what of nested ones is stored and where, and which
change nothing."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.indexing import Index, along
from gint.conductor.graph.writes import (
    WRITES,
    can_be_stored,
    drop_rewrites,
    is_nested,
    place_of,
    written,
)
from gint.conductor.lowering.kinds import read_graph

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def traced(function, *shapes, symbolic=False):
    tensors = [torch.randn(shape) for shape in shapes]
    mode = "symbolic" if symbolic else "fake"
    return make_fx(function, tracing_mode=mode)(*tensors).graph


def writes_in(graph):
    return [n for n in graph.nodes if n.target in WRITES]


def nested(x, y):
    """`x[3, 4:8, ::2] = y`"""
    row = aten.select(x, 0, 3)
    some = aten.slice(row, 0, 4, 8)
    inner = aten.slice_scatter(some, y, 1, 0, 9, 2)
    return aten.select_scatter(x, aten.slice_scatter(row, inner, 0, 4, 8), 0, 3)


def test_of_nested_writes_the_innermost_piece_is_stored():
    graph = traced(nested, (5, 9, 7), (4, 4))
    read = read_graph(graph, "cpu", None)
    inner, middle, outer = writes_in(graph)
    assert [is_nested(read, n) for n in (inner, middle, outer)] == [True, True, False]
    y = next(n for n in graph.nodes if n.name == "y_1")
    assert written(read, outer) is y
    assert written(read, y) is y
    place = place_of(read, outer, (along(0), along(1)))
    assert place == (Index(3), Index(4, ((0, 1),)), Index(0, ((1, 2),)))


def test_a_piece_that_is_seen_is_a_value_of_its_own():
    def function(x, y):
        inner = aten.slice_scatter(aten.select(x, 0, 1), y, 0, 1, 3)
        return aten.select_scatter(x, inner, 0, 1), inner

    graph = traced(function, (3, 4), (2,))
    read = read_graph(graph, "cpu", None)
    inner, outer = writes_in(graph)
    assert not is_nested(read, inner)
    assert written(read, outer) is inner


@pytest.mark.parametrize("other", [lambda x: aten.select(x, 0, 0), lambda x: x.neg()[1]])
def test_a_write_into_another_piece_is_not_nested(other):
    def function(x, y):
        inner = aten.slice_scatter(other(x), y, 0, 1, 3)
        return aten.select_scatter(x, inner, 0, 1)

    graph = traced(function, (3, 4), (2,))
    inner, outer = writes_in(graph)
    read = read_graph(graph, "cpu", None)
    assert not is_nested(read, inner)
    assert written(read, outer) is inner


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x, y: aten.slice_scatter(x.expand(3, 4), y, 1, 0, 2), ((1, 4), (3, 2))),
        (lambda x, y: aten.slice_scatter(x[:, :3], y, 1, 0, 2), ((3, 4), (3, 2))),
        (lambda x, y: aten.select_scatter(x, y.double(), 0, 0), ((3, 4), (4,))),
    ],
    ids=["elements that share memory", "gaps", "another type"],
)
def test_what_is_left_to_aten(function, shapes):
    (node,) = writes_in(traced(function, *shapes))
    assert not can_be_stored(node)


def test_sizes_may_be_symbols_but_no_positions():
    def function(x, y):
        return aten.slice_scatter(x, y, 1, 0, 2), aten.slice_scatter(x, y, 1, x.size(0) - 3, 9)

    first, second = writes_in(traced(function, (4, 3), (4, 2), symbolic=True))
    assert can_be_stored(first)
    assert not can_be_stored(second)


def test_what_lies_there_already_is_not_written():
    def function(x):
        y = aten.slice_scatter(x, x[:, 1:3] + 1, 1, 1, 3)
        piece = aten.slice(y, 1, 1, 3)
        z = aten.slice_scatter(y, aten.copy(piece, piece), 1, 1, 3)
        return (z * 2,)

    graph = traced(function, (3, 4))
    drop_rewrites(graph)
    graph.lint()
    assert len(writes_in(graph)) == 1
    assert not [n for n in graph.nodes if n.name == "copy"]


@pytest.mark.parametrize("start", [0, 2])
def test_what_is_returned_or_lies_elsewhere_stays(start):
    def function(x):
        y = aten.slice_scatter(x, x[:, start : start + 2], 1, 0, 2)
        return y if start == 0 else y * 2

    graph = traced(function, (3, 4))
    drop_rewrites(graph)
    assert len(writes_in(graph)) == 1
