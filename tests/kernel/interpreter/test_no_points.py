"""Launches that have rows and no points: nothing is walked over, and nothing is held."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gint.backend.errors import DIVISION_BY_ZERO
from gint.program import assemble, verify
from tests.memory import load
from tests.programs import SOFTMAX, SUMS

ROWS = 1 << 40
#: A scalar section whose divisor is known, and is not zero; one that divides by the number of
#: columns, which is known at launch.
QUOTIENT = """
program quotient
axis rows parallel
axis cols reduced
slot x i64 in (rows, cols)
slot y i64 out (rows, cols)
reduce
  load.i64 r[0] <- s[x]
  sum.i64 acc[1] <- acc[1] + r[0]
scalar
  const.i64 r[2] <- 7
  extent.i64 r[3] <- extent(cols)
  floor_div.i64 r[4] <- floor(r[1] / r[2]){known}
map
  load.i64 r[6] <- s[x]
  sub.i64 r[7] <- r[6] - r[4]
  store.i64 s[y] <- r[7]
"""
OF_THE_EXTENT = "\n  floor_div.i64 r[5] <- floor(r[2] / r[3])"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (SOFTMAX, 0),
        (QUOTIENT.format(known=""), 0),
        (QUOTIENT.format(known=OF_THE_EXTENT), DIVISION_BY_ZERO),
    ],
    ids=["softmax", "quotient", "known at launch"],
)
def test_rows_without_points_cost_nothing(backend: str, text: str, error: int) -> None:
    kernel = load(backend, verify(assemble(text)))
    memory = np.full(8, 3.0)
    slots = ((memory.nbytes, 0, (0, 1)),) * 2
    began = time.process_time()
    launch = kernel.prepare((ROWS, 0), (), slots)
    assert launch(*[memory.ctypes.data] * 2) == error
    assert time.process_time() - began < 1
    np.testing.assert_array_equal(memory, 3.0)


def test_rows_without_points_have_their_sums(backend: str) -> None:
    """A scalar section that stores has work for every row."""
    kernel = load(backend, verify(assemble(SUMS)))
    y = np.full(3, 7.0, np.float32)
    launch = kernel.prepare((3, 0), (), ((4, 0, (0, 1)), (y.nbytes, 0, (1,))))
    assert launch(np.zeros(1, np.float32).ctypes.data, y.ctypes.data) == 0
    np.testing.assert_array_equal(y, 0)
