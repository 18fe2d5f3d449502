"""Programs bound to operands: leading axes are merged where every layout allows it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm import tensor_ops
from airllm.tensor_ops import launches
from airllm.tensor_ops.arrays import take
from airllm.tensor_ops.launches import _merge, run


def elements(shape, strides) -> list[int]:
    """The position in memory of every element, the last dimension's neighbours side by side."""
    where = np.zeros((), int)
    for length, stride in zip(shape, strides, strict=True):
        where = where[..., None] + stride * np.arange(length)
    return where.ravel().tolist()


@given(st.data())
def test_merged_axes_visit_the_same_elements_in_the_same_order(data):
    rank = data.draw(st.integers(0, 4))
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * rank))
    layouts = []
    for _ in range(data.draw(st.integers(1, 3))):
        steps, step = [], data.draw(st.integers(-2, 3))
        for length in reversed(shape):
            steps.append(step)
            step = step * length if data.draw(st.integers(0, 3)) else data.draw(st.integers(-9, 9))
        layouts.append(tuple(reversed(steps)))
    lengths, merged = _merge(shape, layouts)
    for before, after in zip(layouts, merged, strict=True):
        assert elements(lengths, after) == elements(shape, before)
    assert 1 not in lengths
    for d in range(len(lengths) - 1):  # no two that are left could be one
        steps = [(m[d], m[d + 1] * lengths[d + 1]) for m in merged]
        assert any(outer != inner for outer, inner in steps)


def test_an_operand_without_leading_axes_merges_with_any():
    assert _merge((2, 3), [(3, 1), None]) == ((6,), [(1,), ()])


def doubled(b, lead, types):
    b.output("y", types[1], lead, b.input("x", types[0], *lead) * 2.0)


@pytest.fixture
def bound(monkeypatch):
    """The launches that are kept, none at first."""
    monkeypatch.setattr(launches, "_bound", found := {})
    with tensor_ops.use_backend("python"):
        yield found


def twice(x: np.ndarray) -> np.ndarray:
    y = take("y", np.empty_like(x))
    run(doubled, (take("x", x), y), (0, 0))
    return y.array


def test_a_layout_is_bound_once(bound):
    x = np.arange(6, dtype=np.float32)
    for array in (x, x + 1, x.reshape(2, 3), x.reshape(2, 3) + 1):
        np.testing.assert_array_equal(twice(array), 2 * array)
    assert len(bound) == 2
    twice(x.astype(np.float16))
    assert len(bound) == 3
    with tensor_ops.use_backend("python"):
        twice(x)
    assert len(bound) == 3


def test_bound_launches_are_bounded(bound, monkeypatch):
    monkeypatch.setattr(launches, "_MAX_BOUND", 3)
    for n in range(1, 9):
        twice(np.ones(n, np.float32))
        assert len(bound) <= 3


@pytest.mark.parametrize("layout", [np.s_[::-1], np.s_[::-2], np.s_[:, ::-1], np.s_[1:, 2:]])
def test_an_array_begins_where_its_first_element_lies(bound, layout):
    """A storage begins at the lowest byte; the launch is bound to that."""
    for k in range(2):
        x = (np.arange(24, dtype=np.float32).reshape(4, 6) + k)[layout]
        np.testing.assert_array_equal(twice(x), 2 * x)
    assert len(bound) == 1
