"""NumPy arrays as plans see them: layouts, memory, types, names."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.plan import Named
from gint.plan.dtypes import span
from gint.runtime.arrays import Arrays

VALUES = Arrays()
F32 = np.dtype("f4")


@st.composite
def layouts(draw):
    """Sizes and strides, of elements side by side in any order of dimensions or with gaps."""
    size = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    strides, step = [0] * len(size), 1
    for d in draw(st.permutations(range(len(size)))):
        strides[d] = step
        step *= max(size[d], 1) + draw(st.sampled_from((0, 0, 0, 2)))
    return size, tuple(strides)


@given(layouts())
def test_memory_has_the_layout_asked_for(layout):
    made = VALUES.allocator(F32, layout)()
    assert (made.shape, made.dtype) == (layout[0], F32)
    if made.size:
        steps = [s for n, s in zip(*layout, strict=True) if n > 1]
        found = [s for n, s in zip(made.shape, VALUES.strides(made), strict=True) if n > 1]
        assert found == steps
        first, last = VALUES.reach(made)
        assert last - first == span(*layout) * 4
    made[...] = 1


@given(layouts(), st.integers(0, 5))
def test_a_view_shows_the_same_memory(layout, offset):
    memory = np.arange(offset + span(*layout) + 1, dtype=F32)
    expected = [
        offset + sum(p * s for p, s in zip(position, layout[1], strict=True))
        for position in np.ndindex(layout[0])
    ]
    for x in (memory, memory[::-1][::-1]):
        seen = VALUES.viewer(layout, offset)(x)
        assert seen.reshape(-1).tolist() == expected


def test_the_reach_of_what_runs_backwards():
    x = np.zeros((4, 6), np.int16)
    first = x.ctypes.data
    assert VALUES.reach(x) == (first, first + 48)
    assert VALUES.reach(x[::-1, ::2]) == (first, first + 46)
    assert VALUES.reach(x[1:1]) == (VALUES.reach(x[1:1])[0],) * 2


def test_relaid_elements_are_the_same():
    x = np.arange(12, dtype=F32).reshape(3, 4)
    y = VALUES.relaid(x, (1, 3))
    assert VALUES.strides(y) == (1, 3)
    np.testing.assert_array_equal(x, y)


def test_types_by_torchs_names():
    assert VALUES.dtype_of("float16") == np.float16
    assert VALUES.dtype_of("bool") == np.bool_
    with suppress(ImportError):
        import ml_dtypes  # noqa: F401  (from then on NumPy reads names of its types)
    for name in ("quint8", "float8_e5m2", "object", "f4", "i4,(2,(3f8", "(2,)f4"):
        with pytest.raises(LookupError, match="NumPy has no element type"):
            VALUES.dtype_of(name)
    pytest.importorskip("ml_dtypes")
    assert VALUES.dtype_of("bfloat16").itemsize == 2


def test_names_are_what_host_operators_take():
    assert VALUES.named(Named("dtype", "int64")) == np.int64
    assert VALUES.named(Named("memory_format", "channels_last")) == "torch.channels_last"
    assert VALUES.named(Named("device", "cpu")) is None


def test_constants_are_not_copied_and_not_written():
    buffer = bytearray(np.arange(6, dtype=F32).tobytes())
    held = VALUES.constant(memoryview(buffer), 8, 4, F32, ((2, 2), (1, 2)), False)
    assert held.tolist() == [[2, 4], [3, 5]]
    assert not VALUES.is_writable(held)
    buffer[8:12] = np.float32(9).tobytes()
    assert held[0, 0] == 9
    assert VALUES.is_writable(VALUES.constant(buffer, 0, 2, F32, ((2,), (1,)), True))


def test_operators_that_write_into_memory():
    scatter = VALUES.operator("aten.index_copy.default", True)
    out = np.zeros((3, 2), F32)
    scatter(np.zeros((3, 2), F32), 0, np.array([2]), np.ones((1, 2), F32), out=out)
    assert out.tolist() == [[0, 0], [0, 0], [1, 1]]
    with pytest.raises(LookupError, match=r"aten.lgamma.default needs torch"):
        VALUES.operator("aten.lgamma.default", False)


def test_a_backend_that_does_not_reach_arrays():
    assert VALUES.backend("python").name == "python"
    with pytest.raises(ValueError, match="nobody"):
        VALUES.backend("nobody")


class Launch:
    """Doubles the first slot into the second; refuses nothing."""

    takes_arrays = True

    def __call__(self, x, y):
        y[...] = x * 2
        return 5


def test_a_launch_on_copies_gives_back_what_was_written():
    memory = np.arange(6, dtype=F32)
    x, y = memory[:4], memory[2:]
    before = x.copy()
    assert VALUES.on_copies(Launch(), (x, y), (1,)) == 5
    np.testing.assert_array_equal(y, before * 2)
