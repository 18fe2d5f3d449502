"""The OpenCL device of a process: its builds, its scratch memory, forks."""

import os
import subprocess
import sys

import pytest

from tests.kernel.interpreter.opencl.kernels import SQUARE, kernel
from tests.memory import bind, contiguous, launch_once

pytest.importorskip("pyopencl")
pytestmark = pytest.mark.opencl


def squares_of_three() -> bool:
    """Whether the backend computes, whatever went before."""
    run = kernel(SQUARE)
    binding, (x, y) = bind(run.verified.program, (10,), (), (contiguous(1),) * 2, 1)
    x.array[...] = 3
    return launch_once(run, binding) == 0 and bool((y.array == 9).all())


def test_a_build_that_fails_is_told_and_leaves_the_device_usable(device, monkeypatch):
    from gint.kernel.interpreter.device.build import Build
    from gint.kernel.interpreter.opencl import device as module
    from gint.kernel.interpreter.opencl.errors import OpenclError

    monkeypatch.setattr(module, "source", lambda: "__kernel void gint_run_32() { oops }")
    with pytest.raises(OpenclError, match="built for it") as caught:
        device.kernel(Build(32, elements=4, block=8), "gint_run")
    assert device.name in str(caught.value)
    assert "oops" in str(caught.value)
    assert squares_of_three()


BUILD_SECONDS = """
from gint.host import executor
from gint.program import assemble
from gint.kernel.interpreter.opencl.backend import BACKEND
from gint.kernel.interpreter.opencl.device import open_device
import numpy as np
executor.run(assemble('''{text}'''), "opencl", x=np.ones(5, np.float32))
print(*open_device().build_seconds.values())
"""


def test_a_second_process_does_not_build_again():
    """pyopencl keeps binaries; the build of this session's first test took several seconds."""
    command = [sys.executable, "-c", BUILD_SECONDS.format(text=SQUARE)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    seconds = [
        float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
        for _ in range(2)
    ]
    assert min(seconds) < 2


def test_without_float64_the_interpreter_builds_and_f64_goes_elsewhere(device, monkeypatch):
    from gint.kernel.interpreter.opencl.backend import BACKEND

    monkeypatch.setattr(device, "has_float64", False)
    monkeypatch.setattr(device, "_programs", {})
    monkeypatch.setattr(device, "_kernels", {})
    assert "f64" not in BACKEND.capabilities.types
    assert squares_of_three()
    device.kernel(device.build_for(64), "gint_run")


FORK = """
import os, sys
from functools import cache
import numpy as np
from gint.host import executor
from gint.program import assemble
from gint.kernel.interpreter.opencl.errors import OpenclError
TEXT = '''{text}'''
x = np.arange(100, dtype=np.float32)
@cache
def square():
    return executor.load(assemble(TEXT), "opencl")
def squares():
    return square()(x=x)[0]
if sys.argv[1] == "after":
    squares()
child = os.fork()
if child == 0:
    try:
        status = 0 if (squares() == x * x).all() else 3
    except OpenclError as error:
        status = 7 if "forked" in str(error) else 4
    os._exit(status)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert (squares() == x * x).all()
sys.exit(status)
"""


@pytest.mark.parametrize(("when", "status"), [("after", 7), ("before", 0)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_says_that_opencl_does_not_survive(when, status):
    done = subprocess.run(
        [sys.executable, "-c", FORK.format(text=SQUARE), when],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        timeout=200,
    )
    assert done.returncode == status


@pytest.mark.parametrize("word_bits", [32, 64])
def test_a_build_fits_the_device(device, word_bits):
    build = device.build_for(word_bits)
    assert build.block <= device.device.max_work_group_size
    assert build.on_cpu == device.is_cpu
    assert device.kernel(build, "gint_run") is device.kernel(build, "gint_run")
    assert device.kernel(build, "gint_combine").function_name == f"gint_combine_{word_bits}"


def test_scratch_grows_and_is_kept(device, monkeypatch):
    monkeypatch.setattr(device, "_scratch", None)
    first = device.scratch(1000)
    assert first.size >= 1000
    assert device.scratch(10) is first
    assert device.scratch(first.size + 1).size > first.size


def test_a_process_has_one_device(device):
    from gint.kernel.interpreter.opencl.device import open_device

    assert open_device() is device
    assert device.pid == os.getpid()
