"""What OpenCL reports, in words."""

import pytest

cl = pytest.importorskip("pyopencl")

from gint.kernel.interpreter.opencl.errors import OpenclError, OpenclMemoryError, in_words


def test_no_memory_left():
    with (
        pytest.raises(OpenclMemoryError, match="device X has no memory left for 5 bytes") as caught,
        in_words("X", "5 bytes"),
    ):
        raise cl.MemoryError("clCreateBuffer failed: MEM_OBJECT_ALLOCATION_FAILURE\nmore")
    assert "MEM_OBJECT_ALLOCATION_FAILURE.\n" in str(caught.value)
    assert "more" not in str(caught.value)
    assert isinstance(caught.value, MemoryError)


def test_a_failure_shows_the_first_lines_of_a_log():
    log = "\n\n".join(f"line {n} " + "x" * 300 for n in range(40))
    with (
        pytest.raises(
            OpenclError, match="device X failed while building a kernel: line 0"
        ) as caught,
        in_words("X", "building a kernel"),
    ):
        raise cl.RuntimeError(log)
    said = str(caught.value).splitlines()
    assert len(said) == 13
    assert max(map(len, said[1:-1])) == 200
    assert "gint info" in said[-1]


def test_other_errors_and_none_pass():
    with in_words("X", "nothing"):
        pass
    with pytest.raises(KeyError), in_words("X", "nothing"):
        raise KeyError
