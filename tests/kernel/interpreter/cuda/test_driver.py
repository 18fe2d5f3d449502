"""The driver on the rehearsal one: devices, contexts, and what goes wrong in words."""

import pytest

from gint.kernel.interpreter.cuda import driver
from tests.kernel.interpreter.cuda.rehearsal.start import START

pytestmark = [pytest.mark.checkout]


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


def test_a_process_made_by_fork_is_told_so(rehearsal):
    lines = rehearsal(START + "driver.device(0).context; said(double)", FAIL="cuCtxGetCurrent:3")
    assert "CUDA_ERROR_NOT_INITIALIZED" in lines
    assert 'multiprocessing\'s method "spawn"' in lines


def test_machine_code_of_a_newer_toolkit_is_told_so(rehearsal):
    lines = rehearsal(START + "said(double)", FAIL="cuModuleLoadData:222")
    assert "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" in lines
    assert "The driver is one for CUDA 13.0." in lines


def test_a_device_that_is_not_there(rehearsal):
    out = rehearsal(
        START + "said(lambda: driver.device(2)); print(driver.device_count())", DEVICES=2
    )
    assert out.splitlines() == ["CudaError: There is no CUDA device 2; there are 2.", "2"]


def test_the_first_device_that_is_new_enough_is_for_arrays(rehearsal):
    """Where none is, the first: whatever is launched there says why."""
    code = START + "vars(driver.device(0))['capability'] = (6, 1); print(driver.default_ordinal())"
    assert rehearsal(code, DEVICES=2).strip() == "1"
    assert rehearsal(code, DEVICES=2, CAPABILITY=70).strip() == "0"


def test_a_context_is_current_inside_alone(rehearsal):
    """A thread that had one keeps it, whichever device is asked for in between."""
    code = (
        START
        + """
first, second = driver.device(0), driver.device(1)
now = lambda: int(driver.bindings().cuCtxGetCurrent()[1])
with first.current():
    print(now() == int(first.context))
    with second.without_capture():
        print(now() == int(second.context))
    print(now() == int(first.context))
print(str(second), second.capability)
"""
    )
    said = rehearsal(code, DEVICES=2).splitlines()
    assert said == ["True"] * 3 + ["CUDA device 1 (Rehearsal 1) (9, 0)"]


@pytest.mark.parametrize(
    ("function", "tried"),
    [
        ("cuDeviceGetAttribute", "reading COMPUTE_CAPABILITY_MAJOR"),
        ("cuDevicePrimaryCtxRetain", "making a context"),
    ],
)
def test_a_refusal_names_the_device_and_what_was_tried(rehearsal, function, tried):
    code = START + "said(lambda: (driver.device(0).capability, driver.device(0).context))"
    said = rehearsal(code, FAIL=f"{function}:999")
    assert said.startswith(f"CudaError: CUDA device 0 (Rehearsal 0) refused {tried}: CUDA_ERROR_")


def test_what_an_answer_depends_on_is_the_environment_too(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    before = driver.state()
    assert driver.state() == before
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert driver.state() != before


def test_a_driver_that_is_not_there_is_a_reason(monkeypatch):
    monkeypatch.setattr(driver, "LIBRARY", "libthere-is-none.so.1")
    answer = driver.probe_device()
    assert (answer.usable, answer.built) == (False, True)
    assert answer.reason == "no NVIDIA driver is installed: there is no libthere-is-none.so.1."
    assert not driver.is_running()
