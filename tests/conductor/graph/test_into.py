"""Which nodes left whole are given the memory they write into."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.graph.into import changed, is_copy, is_product, is_scatter, writes_into
from tests.conductor.graphs import traced

pytestmark = pytest.mark.torch
aten = torch.ops.aten
POSITIONS = torch.empty(3, dtype=torch.int64)


def node(function, *inputs, symbolic=False):
    """The last operator of a function's graph."""
    graph = traced(function, *inputs, symbolic=symbolic).graph
    return [n for n in graph.nodes if n.op == "call_function"][-1]


@pytest.mark.parametrize(
    ("function", "inputs", "symbolic", "answer"),
    [
        (aten.mm, ((2, 3), (3, 4)), False, True),
        (lambda x, y: aten.addmm(x[0], x, y), ((2, 3), (3, 3)), False, True),
        (lambda x, y: aten.addmm(x[0], x, y, alpha=2), ((2, 3), (3, 3)), False, False),
        (aten.mm, ((2, 3), (3, 4)), True, False),
        (aten.mv, ((2, 3), (3,)), False, False),
    ],
)
def test_products(function, inputs, symbolic, answer):
    found = node(function, *inputs, symbolic=symbolic)
    assert is_product(found) is answer
    assert writes_into(found) is answer


@pytest.mark.parametrize(
    ("function", "inputs", "answer"),
    [
        (lambda x, i, y: aten.index_put(x, [i], y), ((5, 2), POSITIONS, (3, 2)), True),
        (lambda x, i, y: aten.index_put(x, [None, i], y), ((2, 5), POSITIONS, (2, 3)), True),
        (lambda x, i, y: aten.index_put(x, [i > 0], y), ((3, 2), POSITIONS, (2,)), False),
        (lambda x, i, y: aten.index_add(x, 0, i, y), ((5, 2), POSITIONS, (3, 2)), True),
        (
            lambda x, i, y: aten.index_add(x.half(), 0, i, y.half()),
            ((5, 2), POSITIONS, (3, 2)),
            False,  # computed in float32, faster by ATen
        ),
        (
            lambda x, i, y: aten.index_copy(x.half(), 0, i, y.half()),
            ((5, 2), POSITIONS, (3, 2)),
            True,  # only moved
        ),
        (
            lambda x, i, y: aten.index_add(x.to(torch.complex64), 0, i, y.to(torch.complex64)),
            ((5, 2), POSITIONS, (3, 2)),
            False,
        ),
    ],
)
def test_scatters(function, inputs, answer):
    assert is_scatter(node(function, *inputs)) is answer


@pytest.mark.parametrize(
    ("function", "inputs", "answer"),
    [
        (lambda x, y: aten.cat([x, y], 1), ((2, 3), (2, 4)), True),
        (lambda x, y: aten.stack([x, y]), ((2, 3), (2, 3)), True),
        (lambda x: aten.constant_pad_nd(x, [1, 1]), ((2, 3),), True),
        (lambda x, y: aten.cat([x, y.double()], 1), ((2, 3), (2, 4)), False),  # of two types
        (lambda x, y: aten.cat([x.t(), y], 1), ((3, 2), (2, 4)), False),  # neighbours apart
        (lambda x, y: aten.cat([x[:, ::2], y], 1), ((2, 6), (2, 4)), True),  # still the nearest
        (lambda x, y: x + y, ((2, 3), (2, 3)), False),
    ],
)
def test_copies(function, inputs, answer):
    assert is_copy(node(function, *inputs)) is answer


def test_copies_of_symbolic_sizes_are_atens():
    assert not is_copy(node(lambda x, y: aten.cat([x, y], 1), (2, 3), (2, 4), symbolic=True))


def test_what_a_scatter_changes():
    put = node(lambda x, i, y: aten.index_put(x, [i], y), (5, 2), POSITIONS, (3, 2))
    assert changed(put) is put.args[0]
    gradient = node(
        lambda g, i: aten.embedding_dense_backward(g, i, 5, -1, False), (3, 2), POSITIONS
    )
    assert is_scatter(gradient)
    assert changed(gradient) is None
