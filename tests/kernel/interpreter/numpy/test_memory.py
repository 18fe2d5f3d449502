"""Slots as arrays over all axes of a program."""

import numpy as np

from gint.kernel.interpreter.numpy.memory import slot_view
from gint.program import Binding, SlotBinding, assemble

PROGRAM = assemble("""\
program copies
axis i parallel
axis j parallel
slot x f32 in (j, i)
slot y f32 out (i, j)
map
  load.f32 r[0] <- s[x]
  store.f32 s[y] <- r[0]
""")


def view(array: np.ndarray, extents, offset, strides, n=0) -> np.ndarray:
    bound = SlotBinding(array.ctypes.data, array.nbytes, offset, strides)
    return slot_view(PROGRAM, Binding(extents, (), (bound, bound)), n)


def test_axes_are_in_the_programs_order():
    x = np.arange(12, dtype=np.float32)
    assert view(x, (3, 4), 0, (3, 1)).tolist() == x.reshape(4, 3).T.tolist()
    assert view(x, (3, 4), 0, (4, 1), n=1).tolist() == x.reshape(3, 4).tolist()


def test_offsets_and_strides_count_elements():
    x = np.arange(12, dtype=np.float32)
    assert view(x, (2, 2), 11, (-3, -1)).tolist() == [[11, 8], [10, 7]]
    assert view(x, (2, 2), 5, (0, 0)).tolist() == [[5, 5], [5, 5]]


def test_it_is_the_memory_itself():
    x = np.zeros(4, np.float32)
    view(x, (2, 2), 0, (2, 1))[1, 1] = 7
    assert x.tolist() == [0, 0, 0, 7]


def test_an_extent_of_one_may_have_any_stride_and_of_none_no_memory():
    x = np.arange(2, dtype=np.float32)
    assert view(x, (1, 2), 0, (1, 10**9)).tolist() == [[0, 1]]
    assert view(x, (0, 2), 0, (1, 1)).shape == (0, 2)
