"""The `python` backend: always there, on one thread."""

import numpy
import pytest

from gint.kernel.interpreter.numpy.backend import BACKEND
from gint.program import VerificationError, assemble, verify
from tests.programs import SOFTMAX


def test_it_is_always_usable():
    probe = BACKEND.probe()
    assert probe.usable
    assert numpy.__version__ in probe.reason
    assert (BACKEND.name, BACKEND.device) == ("python", "cpu")
    assert BACKEND.quantized is BACKEND.quantized


def test_what_it_decides():
    kernel = BACKEND.load(verify(assemble(SOFTMAX)))
    text = kernel.describe((2, 3), (), ())
    assert text == "runs section by section, each on whole arrays: reduce, reduce, map\n"


def test_a_launch_takes_pointers():
    kernel = BACKEND.load(verify(assemble(SOFTMAX)))
    assert not kernel.prepare((2, 3), (), ()).takes_arrays


def test_registers_that_take_more_than_there_is_are_refused():
    kernel = BACKEND.load(verify(assemble(TOTAL)))
    with pytest.raises(MemoryError, match=r"registers are whole arrays, takes [\d,.]+ GiB"):
        kernel.prepare((1 << 40,), (), ((4, 0, (0,)), (4, 0, ())))


def test_what_is_too_large_and_wrong_is_called_wrong():
    kernel = BACKEND.load(verify(assemble(TOTAL)))
    for extent, stride, reason in ((1 << 62, 0, "more than"), (1 << 40, 1, "would touch bytes")):
        with pytest.raises(VerificationError, match=reason):
            kernel.prepare((extent,), (), ((4, 0, (stride,)), (4, 0, ())))


TOTAL = """
program total
axis cols reduced
slot x f32 in (cols)
slot y f32 out ()
reduce
  load.f32 r[0] <- s[x]
  sum.f32 acc[1] <- acc[1] + r[0]
scalar
  store.f32 s[y] <- r[1]
"""
