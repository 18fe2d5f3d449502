"""What the operators share: types, dimensions, orders of memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.operators.arrays import (
    dimension,
    empty_in_order,
    empty_like,
    is_dense,
    number_type,
    order_of,
    per_dimension,
    same_type,
    widened,
)  # fmt: skip
from gint.operators.arrays import (
    given as into,
)

F4 = np.dtype("f4")


@given(st.permutations(range(3)), st.tuples(*[st.integers(2, 4)] * 3))
def test_orders_of_memory(order, shape):
    made = empty_in_order(shape, F4, order)
    assert made.shape == shape
    assert order_of(made) == list(order)
    assert is_dense(made)
    assert order_of(empty_like(made)) == list(order)
    assert not is_dense(np.zeros((4, 6), F4).T[::2])


def test_memory_formats():
    x = np.zeros((2, 3, 4, 5), F4)
    assert order_of(empty_like(x, format="torch.channels_last")) == [0, 2, 3, 1]
    assert order_of(empty_like(x.T, format="torch.contiguous_format")) == [0, 1, 2, 3]
    assert empty_like(x, np.dtype("i8")).dtype == np.int64


@pytest.mark.parametrize(("dim", "rank", "found"), [(0, 2, 0), (-1, 2, 1), (-1, 0, 0), (0, 0, 0)])
def test_dimensions_from_the_front(dim, rank, found):
    assert dimension(dim, rank) == found


@pytest.mark.parametrize(("dim", "rank"), [(2, 2), (-3, 2), (1, 0)])
def test_dimensions_that_are_not_there(dim, rank):
    with pytest.raises(IndexError, match=f"Dimension {dim} does not exist"):
        dimension(dim, rank)


def test_a_number_for_each_dimension():
    assert per_dimension(3, 2) == per_dimension([3], 2) == [3, 3]
    assert per_dimension([1, 2], 2) == [1, 2]
    assert per_dimension([], 2, [5, 6]) == [5, 6]


def test_halves_are_computed_in_float32():
    assert widened(np.ones(2, "f2")).dtype == F4
    x = np.ones(2, "f8")
    assert widened(x) is x


def test_results_go_where_they_are_wanted():
    values, out = np.ones(3, "f8"), np.zeros(3, F4)
    assert into(None, values, F4).dtype == F4
    assert into(out, values, F4) is out
    assert out.tolist() == [1, 1, 1]
    assert into(out, out, F4) is out


def test_numbers_wrap_as_in_c():
    assert number_type(300, np.dtype("u1")) == 44
    assert number_type(-1, np.dtype("u1")) == 255
    assert number_type(2, np.dtype("?")) == np.True_
    assert number_type(0.5, np.dtype("f2")).dtype == np.float16


def test_types_are_not_mixed():
    same_type("mm", np.ones(1, F4), np.ones(1, F4))
    with pytest.raises(TypeError, match="mm takes operands of one type, not of float32, float64"):
        same_type("mm", np.ones(1, F4), np.ones(1))
