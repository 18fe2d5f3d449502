"""Concatenations inside programs: which fuse, and what is read for each piece."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.graph.nodes import NodeKind
from tests.conductor.graphs import emitted, listing, read, returned

pytestmark = pytest.mark.torch
cat = torch.cat


@pytest.mark.parametrize(
    ("function", "shapes", "fuses"),
    [
        (lambda x, y: cat([x.exp(), y], -1), ((4, 3), (4, 3)), True),
        (lambda x, y: cat([x, y], -1), ((4, 3), (4, 3)), False),  # a copy
        (lambda x, y: cat([x.exp(), y], -1), ((4, 3), (4, 2)), False),  # of other sizes
        (lambda x, y: cat([x.exp(), y], 1), ((4, 1), (4, 1)), False),  # of one element
        (lambda x, y: cat([x.exp(), y, x, y], -1), ((4, 3), (4, 3)), False),  # too many
        (lambda x, y: cat([x.exp(), y, x], 0), ((4, 3), (4, 3)), True),
    ],
)
def test_which_are_part_of_a_program(function, shapes, fuses):
    graph = read(function, *shapes)
    (node,) = returned(graph)
    assert (graph.kinds[node] is NodeKind.COMPUTE) is fuses


def test_a_dimension_is_split_into_the_piece_and_the_place_in_it():
    made = emitted(lambda x, y: cat([x.exp(), y], -1), (4, 3), (4, 3))
    assert sorted(made.recording.extents) == [2, 3, 4]
    lines = listing(lambda x, y: cat([x.exp(), y], -1), (4, 3), (4, 3))
    assert sum(line.startswith("where") for line in lines) == 1


def test_a_part_that_lies_in_one_piece_is_that_piece():
    lines = listing(lambda x, y: cat([x.exp(), y.sin()], -1)[:, 3:5] + 1, (4, 3), (4, 3))
    assert not any(line.startswith(("where", "exp")) for line in lines)
    assert any(line.startswith("sin") for line in lines)


def test_a_part_of_two_pieces_has_its_values():
    def function(x, y):
        return cat([x.exp(), y.sin()], -1)[:, 2:4] + 1

    x, y = torch.randn(4, 3), torch.randn(4, 3)
    compiled = torch.compile(function, backend="gint", options={"check": True})
    torch.testing.assert_close(compiled(x, y), function(x, y))
