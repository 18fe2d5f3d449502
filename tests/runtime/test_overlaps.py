"""Arguments that share memory with one that is written into, found by their elements."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.runtime import overlaps
from gint.runtime.arrays import Arrays
from gint.runtime.overlaps import overlap_check

PART = st.builds(slice, st.integers(0, 8), st.integers(0, 8), st.sampled_from((-3, -1, 1, 2, 3)))


@given(st.lists(st.tuples(PART, PART, st.booleans()), min_size=2, max_size=4))
def test_as_looking_at_every_element(parts):
    memory = np.zeros((8, 8), np.int16)
    arrays = [memory[rows, cols] for rows, cols, _ in parts]
    written = [w for *_, w in parts]
    meet = {
        (a, b)
        for a in range(len(arrays))
        for b in range(len(arrays))
        if a != b and written[a] and places(arrays[a], memory) & places(arrays[b], memory)
    }
    names = [f"a{n}" for n in range(len(arrays))]
    check = overlap_check(names, written, Arrays())
    try:
        check(arrays)
        found = None
    except ValueError as error:
        found = str(error)
    expected = {f"{names[a]} is written into, and {names[b]} lies in the same" for a, b in meet}
    assert any(found.startswith(e) for e in expected) if found else not meet


def places(x: np.ndarray, memory: np.ndarray) -> set[int]:
    """The elements of `memory` that x shows."""
    numbers = np.arange(memory.size, dtype=memory.dtype).reshape(memory.shape)
    start = (x.ctypes.data - memory.ctypes.data) // memory.itemsize if x.size else 0
    shown = np.lib.stride_tricks.as_strided(numbers.reshape(-1)[start:], x.shape, x.strides)
    return set(shown.reshape(-1).tolist())


def test_a_question_too_hard_is_answered_with_yes(monkeypatch):
    memory = np.zeros(64, np.uint8)
    check = overlap_check(["x", "y"], [True, False], Arrays())
    check([memory[::2], memory[1::2]])
    monkeypatch.setattr(overlaps, "_MOST_WORK", 0)
    with pytest.raises(ValueError, match="x is written into, and y lies"):
        check([memory[::2], memory[1::2]])


def test_no_elements_lie_nowhere():
    memory = np.zeros((8, 8), np.int16)
    check = overlap_check(["x", "y"], [True, True], Arrays())
    check([memory[0:2, 1:0:-3], memory[0:0:-3, 2:0:-1]])
