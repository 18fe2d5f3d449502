"""The interpreter that defines the meaning, on programs small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gint.kernel.interpreter.numpy.backend import BACKEND
from gint.kernel.interpreter.numpy.interpreter import last_reads, most_held
from gint.program import VerificationError, assemble, verify
from tests.programs import SOFTMAX


def run(text: str, extents, params, *arrays: np.ndarray) -> int:
    """Run a program on arrays without gaps."""
    kernel = BACKEND.load(verify(assemble(text)))
    slots = tuple((a.nbytes, 0, tuple(s // a.itemsize for s in a.strides)) for a in arrays)
    return kernel.prepare(extents, params, slots)(*[a.ctypes.data for a in arrays])


def test_sections_run_in_order():
    x, y = np.array([[0, 1, 2], [5, 5, 5]], np.float32), np.zeros((2, 3), np.float32)
    assert run(SOFTMAX, (2, 3), (), x, y) == 0
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-6)


POSITIONS = """\
program positions
axis i parallel
param p i64
slot y i64 out (i)
map
  index.i64 r[0] <- index(i)
  param.i64 r[1] <- p[p]
  mul.i64 r[2] <- r[0] * r[1]
  extent.i64 r[3] <- extent(i)
  add.i64 r[4] <- r[2] + r[3]
  store.i64 s[y] <- r[4]
"""


def test_positions_parameters_and_extents():
    y = np.zeros(4, np.int64)
    run(POSITIONS, (4,), (10,), y)
    assert y.tolist() == [4, 14, 24, 34]


GATHERS = """\
program gathers
axis i parallel
axis k indexed
slot table f32 in (k)
slot at i64 in (i)
slot y f32 out (i)
map
  load.i64 r[0] <- s[at]
  gather.f32 r[1] <- s[table][r[0]]
  store.f32 s[y] <- r[1]
"""


def test_positions_outside_set_the_flag_and_give_zero():
    table, y = np.array([5, 6, 7], np.float32), np.full(4, 9, np.float32)
    assert run(GATHERS, (4, 3), (), table, np.array([2, 0, 1, 1]), y) == 0
    assert y.tolist() == [7, 5, 6, 6]
    assert run(GATHERS, (4, 3), (), table, np.array([2, -1, 3, 1]), y) != 0
    assert y.tolist() == [7, 0, 0, 6]


SCAN = """\
program runs
axis i reduced
slot x f32 in (i)
slot y f32 out (i)
map
  load.f32 r[0] <- s[x]
  cumsum.f32 r[1] <- before[1] + r[0]
  store.f32 s[y] <- r[1]
"""


def test_a_scan_goes_on_from_position_to_position():
    x, y = np.array([1, 2, 3], np.float32), np.zeros(3, np.float32)
    run(SCAN, (3,), (), x, y)
    assert y.tolist() == [1, 3, 6]


@pytest.mark.parametrize("extent", [0, 1])
def test_few_points(extent):
    x, y = np.ones((2, extent), np.float32), np.zeros((2, extent), np.float32)
    run(SOFTMAX, (2, extent), (), x, y)
    assert (y == 1).all()


def test_a_binding_is_verified_at_each_call():
    x, y = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    with pytest.raises(VerificationError, match="Slot 'x' would touch"):
        run(SOFTMAX, (3, 3), (), x, y)


SQUARE_AND_MORE = """\
program square_and_more
axis i parallel
slot x f32 in (i)
slot y f32 out (i)
map
  load.f32 r[0] <- s[x]
  mul.f32 r[1] <- r[0] * r[0]
  add.f32 r[2] <- r[1] + r[0]
  neg.f32 r[3] <- -r[2]
  store.f32 s[y] <- r[3]
"""


def test_registers_are_counted_while_they_are_alive():
    """x, its square, their sum, and one more on the way; what follows has fewer."""
    program = verify(assemble(SQUARE_AND_MORE))
    unused = last_reads(program.program)
    assert most_held(program, (10,), unused) == 4 * 40
