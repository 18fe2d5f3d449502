"""How windows move: against positions counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.operators.windows import Windows

ONE = st.integers(1, 3)


@given(st.integers(1, 9), ONE, ONE, st.integers(0, 2), ONE, st.booleans())
def test_windows_are_where_they_begin(size, kernel, stride, padding, dilation, ceil_mode):
    padding = min(padding, kernel // 2)  # as torch has it
    reach = dilation * (kernel - 1) + 1
    # With ceil_mode one may leave the source at the end, if it begins in front of that.
    starts = [
        s
        for s in range(-padding, size + padding, stride)
        if s + reach <= size + padding
        or (ceil_mode and s < size and s + reach - stride < size + padding)
    ]
    numbers = ([size], [kernel], [stride], [padding], [dilation], ceil_mode)
    if not starts:
        with pytest.raises(ValueError, match="does not fit into"):
            Windows.over(*numbers)
        return
    w = Windows.over(*numbers)
    assert w.counts == [len(starts)]
    x = np.arange(1.0, size + 1)
    found = w.views(w.padded(x, 0, -1), 0)
    expected = [
        [x[p] if 0 <= (p := s + dilation * k) < size else -1 for k in range(kernel)] for s in starts
    ]
    assert found.tolist() == expected


def test_dimensions_around_the_windows_stay():
    w = Windows.over([3, 4], [2, 2], [1, 1], [0, 0], [1, 1])
    x = np.arange(24.0).reshape(2, 3, 4)
    assert w.views(x, 1).shape == (2, 2, 3, 2, 2)
    assert not w.views(x, 1).flags.writeable
    assert w.padded(x, 1) is x


@pytest.mark.parametrize("wrong", [(0, 1, 0, 1), (1, 0, 0, 1), (1, 1, -1, 1), (1, 1, 0, 0)])
def test_numbers_that_are_none(wrong):
    with pytest.raises(ValueError, match="A window needs"):
        Windows.over([4], *([n] for n in wrong))
