"""The backend on the rehearsal driver: the CUDA source on the host, behind NVIDIA's bindings."""

import re

import pytest

pytestmark = [pytest.mark.checkout]

SUITE = (
    "tests/kernel/interpreter/test_differential.py", "tests/program/test_fuzz.py",
    "tests/host/test_executor.py", "tests/quantized/test_products.py",
    "tests/kernel/interpreter/test_gathers.py",
)  # fmt: skip

START = """
import numpy as np
from gint.backend import registry
from gint.host import executor
from gint.kernel.interpreter.cuda import driver
from gint.kernel.interpreter.cuda.backend import BACKEND
from gint.program import assemble

SCALE = assemble('''
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  add.f32 r[1] <- r[0] + r[0]
  store.f32 s[y] <- r[1]
''')
DIVIDE = assemble('''
axis n parallel
slot x i32 in (n)
slot y i32 out (n)
map
  load.i32 r[0] <- s[x]
  floor_div.i32 r[1] <- floor(r[0] / r[0])
  store.i32 s[y] <- r[1]
''')

def said(call):
    try:
        call()
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    else:
        print("nothing")

def double(n=4):
    (y,) = executor.run(SCALE, backend="cuda", x=np.arange(n, dtype=np.float32))
    return y
"""


@pytest.mark.slow
def test_what_every_backend_must_do(rehearsal):
    """Generated programs, mutated ones, arrays of all kinds: the suite that a GPU runs."""
    out = rehearsal(
        "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-p", "no:randomly", *SUITE
    )
    passed = int(re.search(r"(\d+) passed", out)[1])
    assert passed > 60
    assert "skipped" not in out.splitlines()[-1]


def test_arrays_are_carried_there_and_back(rehearsal):
    assert rehearsal(START + "print(double())").split() == ["[0.", "2.", "4.", "6.]"]


def test_a_device_that_is_too_old(rehearsal):
    out = rehearsal(START + "print(BACKEND.probe().reason)", CAPABILITY=61)
    assert "too old: Rehearsal 0 (sm_61); compute capability 7.5 or newer" in out


def test_no_device(rehearsal):
    out = rehearsal(START + "print(BACKEND.probe())", DEVICES=0)
    assert "usable=False" in out
    assert "there is no CUDA device" in out
    assert "built=True" in out


def test_a_driver_that_does_not_start(rehearsal):
    out = rehearsal(START + "print(BACKEND.probe().reason)", FAIL="cuInit:999")
    assert "the CUDA driver does not start: CUDA_ERROR_UNKNOWN" in out


def test_memory_that_runs_out_names_the_device_and_the_process_goes_on(rehearsal):
    code = START + "said(lambda: double(1 << 22)); print(double())"
    lines = rehearsal(code, MEMORY=8 << 20).splitlines()
    assert lines[0].startswith("CudaOutOfMemoryError: CUDA device 0 (Rehearsal 0) has not enough")
    assert "of 8 MiB are free" in lines[0]
    assert "GINT_BACKEND=cpp" in lines[1]
    assert lines[-1] == "[0. 2. 4. 6.]"


def test_a_kernel_that_faults_leaves_other_backends(rehearsal):
    code = START + (
        "said(double); said(double)\n"
        "print(executor.run(SCALE, backend='python', x=np.ones(2, np.float32))[0])"
    )
    lines = rehearsal(code, FAULT=1).splitlines()
    assert "CudaError: CUDA device 0 (Rehearsal 0) failed in" in lines[0]
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in lines[0]
    assert "cannot be used any more in this process" in lines[1]
    assert lines[-1] == "[2. 2.]"


def test_division_by_zero_is_raised_when_the_results_are_there(rehearsal):
    code = START + (
        "said(lambda: executor.run(DIVIDE, backend='cuda', x=np.zeros(4, np.int32)))\n"
        "print(executor.run(DIVIDE, backend='cuda', x=np.ones(4, np.int32))[0])"
    )
    assert rehearsal(code).splitlines() == ["RuntimeError: ZeroDivisionError", "[1 1 1 1]"]


def test_a_prepared_launch_says_what_earlier_ones_left(rehearsal):
    """It does not wait; a launch that has ended before the next one begins has left its flag."""
    code = (
        START
        + """
from gint.program import verify
kernel = BACKEND.load(verify(DIVIDE))
ready = kernel.prepare((4,), (), ((16, 0, (1,)), (16, 0, (1,))), device=0)
zeros, ones, out = (BACKEND.memory.upload(np.full(4, n, np.int32)) for n in (0, 1, 7))
print(ready(zeros.pointer, out.pointer), ready(ones.pointer, out.pointer))
"""
    )
    assert rehearsal(code).split() == ["1", "0"]


def test_the_next_tile_is_asked_for_ahead(rehearsal):
    """What is asked for has to exist: seven tiles and a part of one, some at negative steps."""
    code = (
        START
        + """
from gint.kernel.interpreter.device import dispatches
dispatches.MAP_GROUPS = 1
x = np.arange(2048 * 7 + 1001, dtype=np.float32)
for x in (x, x[::-1], np.broadcast_to(x[:1], x.shape)):
    print(np.array_equal(executor.run(SCALE, backend="cuda", x=x)[0], x * 2))
"""
    )
    assert rehearsal(code).split() == ["True"] * 3


def test_each_device_has_its_own_context_and_module(rehearsal):
    code = (
        START
        + """
from gint.kernel.interpreter.cuda.memory import CudaMemory
from gint.program import verify
kernel = BACKEND.load(verify(SCALE))
for n in (1, 0, 1):
    memory = CudaMemory(driver.device(n))
    x, y = memory.upload(np.full(4, n, np.float32)), memory.allocate((4,), np.dtype(np.float32))
    back = np.empty(4, np.float32)
    ready = kernel.prepare((4,), (), ((16, 0, (1,)), (16, 0, (1,))), device=n)
    ready(x.pointer, y.pointer)
    memory.download(y, back)
    print(back[0], int(driver.bindings().cuCtxGetCurrent()[1]) == int(driver.device(1).context))
"""
    )
    # The thread keeps the context it had: that of the device it used first.
    assert rehearsal(code, DEVICES=2).split() == ["2.0", "True", "0.0", "True", "2.0", "True"]


def test_threads_without_a_context_launch_too(rehearsal):
    code = (
        START
        + """
from concurrent.futures import ThreadPoolExecutor
double()
with ThreadPoolExecutor(4) as pool:
    print(sum(float(y[3]) for y in pool.map(lambda _: double(), range(50))))
"""
    )
    assert rehearsal(code).split() == ["300.0"]


def test_tables_have_arrived_when_another_stream_is_launched_on(rehearsal):
    code = (
        START
        + """
from gint.program import verify
kernel = BACKEND.load(verify(SCALE))
x, y = BACKEND.memory.upload(np.ones(4, np.float32)), BACKEND.memory.upload(np.zeros(4, np.float32))
ready = kernel.prepare((4,), (), ((16, 0, (1,)), (16, 0, (1,))), device=0)
ready(x.pointer, y.pointer, stream=12345)
back = np.empty(4, np.float32)
BACKEND.memory.download(y, back)
print(back)
"""
    )
    assert rehearsal(code).split() == ["[2.", "2.", "2.", "2.]"]


def test_a_launch_may_be_prepared_while_a_graph_is_captured(rehearsal):
    """Sizes not met before, in a call that is captured: torch's default mode forbids memory."""
    code = (
        START
        + """
import ctypes
from gint.program import verify
x, y = BACKEND.memory.upload(np.ones(4, np.float32)), BACKEND.memory.upload(np.zeros(4, np.float32))
library = ctypes.CDLL("libcuda.so.1")
library.rehearse_capture(1)
kernel = BACKEND.load(verify(SCALE))
ready = kernel.prepare((4,), (), ((16, 0, (1,)), (16, 0, (1,))), device=0)
ready(x.pointer, y.pointer, stream=12345)
del ready, kernel
(error,) = driver.bindings().cuCtxSynchronize()
library.rehearse_capture(0)
back = np.empty(4, np.float32)
BACKEND.memory.download(y, back)
print(error.value, back)
"""
    )
    assert rehearsal(code).split() == ["900", "[2.", "2.", "2.", "2.]"]


def test_nothing_is_said_when_python_exits(rehearsal):
    code = START + (
        "import sys; sys.stderr = sys.stdout\nkept = BACKEND.memory.upload(np.zeros(4)); double()"
    )
    assert rehearsal(code) == ""


def test_a_process_made_by_fork_is_told_so(rehearsal):
    lines = rehearsal(START + "driver.device(0).context; said(double)", FAIL="cuCtxGetCurrent:3")
    assert "CUDA_ERROR_NOT_INITIALIZED" in lines
    assert 'multiprocessing\'s method "spawn"' in lines


def test_machine_code_of_a_newer_toolkit_is_told_so(rehearsal):
    lines = rehearsal(START + "said(double)", FAIL="cuModuleLoadData:222")
    assert "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" in lines
    assert "The driver is one for CUDA 13.0." in lines


def test_arrays_of_other_libraries_are_used_in_place(rehearsal):
    code = (
        START
        + """
class Foreign:
    def __init__(self, kept):
        self.kept, self.__cuda_array_interface__ = kept, kept.__cuda_array_interface__

x = BACKEND.memory.upload(np.arange(4, dtype=np.float32))
(y,) = executor.run(SCALE, backend="cuda", x=Foreign(x))
back = np.empty(4, np.float32)
BACKEND.memory.download(y, back)
print(type(y).__name__, back)
"""
    )
    assert rehearsal(code).split() == ["DeviceArray", "[0.", "2.", "4.", "6.]"]
