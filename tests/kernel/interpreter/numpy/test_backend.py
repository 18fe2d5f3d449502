"""The `python` backend: always there, on one thread."""

import numpy
import pytest

from gint.kernel.interpreter.numpy.backend import BACKEND
from gint.program import assemble, verify
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
    """Also where another axis has no points: results of a fold over it are one for each row."""
    kernel = BACKEND.load(verify(assemble(SOFTMAX)))
    for extents in ((1 << 40, 3), (1 << 40, 0)):
        with pytest.raises(MemoryError, match=r"registers are whole arrays, takes [\d,.]+ GiB"):
            kernel.prepare(extents, (), ())
    kernel.prepare((1 << 20, 0), (), ())
