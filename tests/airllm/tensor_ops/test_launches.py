"""Programs run on operands, bound once per layout."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops
from airllm.tensor_ops.arrays import take
from airllm.tensor_ops.launches import run
from gint.operators import launches


def doubled(b, lead, types):
    b.output("y", types[1], lead, b.input("x", types[0], *lead) * 2.0)


def summed(b, lead, types):
    n = b.reduced("n")
    b.output("y", types[1], (*lead, n), b.input("x", types[0], *lead, n) + b.input("r", "f32", n))


def twice(x: np.ndarray) -> np.ndarray:
    y = take("y", np.empty_like(x))
    run(doubled, (take("x", x), y))
    return y.array


@pytest.fixture
def active(backend):
    """Each backend in turn is the active one."""
    with tensor_ops.use_backend(backend):
        yield backend


def test_a_layout_is_bound_once():
    x = np.arange(6, dtype=np.float32)
    with tensor_ops.use_backend("python"):
        launches._bind.cache_clear()
        for array in (x, x + 1, x.reshape(2, 3), x.reshape(2, 3) + 1):
            np.testing.assert_array_equal(twice(array), 2 * array)
        assert launches._bind.cache_info().misses == 2
        twice(x.astype(np.float16))
        assert launches._bind.cache_info().misses == 3


@pytest.mark.usefixtures("active")
@pytest.mark.parametrize("shape", [(), (1,), (5, 0), (2, 1, 3), (2,) * 9, (1,) * 16])
def test_any_number_of_leading_axes_up_to_the_limit(shape):
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(twice(x), 2 * x)
    np.testing.assert_array_equal(twice(x.T), 2 * x.T)


def test_more_axes_than_a_program_has_are_refused():
    with pytest.raises(ValueError, match="17 axes; at most 16"):
        twice(np.zeros((1,) * 17, np.float32))


@pytest.mark.usefixtures("active")
def test_an_operand_without_leading_axes_repeats_along_them():
    x, row = np.ones((2, 3, 4), np.float32), np.arange(4, dtype=np.float32)
    y = take("y", np.empty_like(x))
    run(summed, (take("x", x), take("r", row), y), 1)
    np.testing.assert_array_equal(y.array, x + row)


@pytest.mark.usefixtures("active")
@pytest.mark.parametrize("layout", [np.s_[::-1], np.s_[::-2], np.s_[:, ::-1], np.s_[1:, 2:]])
def test_an_array_begins_where_its_first_element_lies(layout):
    """A storage begins at the lowest byte; the launch is bound to that."""
    for k in range(2):
        x = (np.arange(24, dtype=np.float32).reshape(4, 6) + k)[layout]
        np.testing.assert_array_equal(twice(x), 2 * x)
