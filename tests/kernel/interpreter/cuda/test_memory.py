"""Arrays on the rehearsal driver's devices: there and back, to the byte, and the error flag."""

import pytest

from tests.kernel.interpreter.cuda.rehearsal.start import START

pytestmark = [pytest.mark.checkout]


def test_arrays_are_carried_there_and_back(rehearsal):
    assert rehearsal(START + "print(double())").split() == ["[0.", "2.", "4.", "6.]"]


def test_memory_that_runs_out_names_the_device_and_the_process_goes_on(rehearsal):
    code = START + "said(lambda: double(1 << 22)); print(double())"
    lines = rehearsal(code, MEMORY=8 << 20).splitlines()
    assert lines[0].startswith("CudaOutOfMemoryError: CUDA device 0 (Rehearsal 0) has not enough")
    assert "of 8 MiB are free" in lines[0]
    assert "GINT_BACKEND=cpp" in lines[1]
    assert lines[-1] == "[0. 2. 4. 6.]"


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


def test_nothing_is_said_when_python_exits(rehearsal):
    code = START + (
        "import sys; sys.stderr = sys.stdout\nkept = BACKEND.memory.upload(np.zeros(4)); double()"
    )
    assert rehearsal(code) == ""


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


def test_arrays_of_all_shapes_and_layouts(rehearsal):
    code = (
        START
        + """
import ml_dtypes
memory = BACKEND.memory
for x in (np.zeros((0, 3), np.float64), np.array(7, np.int8), np.arange(12).reshape(3, 4).T,
          np.arange(10, dtype=np.float16)[::-3], np.ones(3, ml_dtypes.bfloat16)):
    there = memory.upload(x)
    back = np.zeros(x.shape, x.dtype)
    memory.download(there, back)
    gaps = np.zeros((*x.shape, 2), x.dtype)[..., 0]
    memory.download(there, gaps)
    described = there.__cuda_array_interface__
    print(there.nbytes == x.nbytes, (back == x).all(), (gaps == x).all(), described["shape"],
          described["typestr"], described["strides"], there.device.id)
"""
    )
    assert rehearsal(code).splitlines() == [
        "True True True (0, 3) <f8 None 0", "True True True () |i1 None 0",
        "True True True (4, 3) <i8 None 0", "True True True (4,) <f2 None 0",
        "True True True (3,) <u2 None 0",
    ]  # fmt: skip


def test_memory_is_given_back_with_the_last_reference(rehearsal):
    """Of 8 MiB there is never room for two such arrays."""
    code = (
        START
        + """
for _ in range(5):
    x = BACKEND.memory.allocate((5 << 20,), np.dtype(np.uint8))
    del x
said(lambda: [BACKEND.memory.allocate((5 << 20,), np.dtype(np.uint8)) for _ in range(2)])
"""
    )
    said = rehearsal(code, MEMORY=8 << 20)
    assert said.startswith("CudaOutOfMemoryError: CUDA device 0 (Rehearsal 0) has not enough")


def test_the_flag_is_told_once_and_each_device_has_its_own(rehearsal):
    """What a kernel would write is written here: the word lies in the host's memory."""
    code = (
        START
        + """
import ctypes
from gint.kernel.interpreter.cuda.memory import CudaMemory, flag_pointer, take_flag
print(flag_pointer(0) == flag_pointer(0), flag_pointer(0) == flag_pointer(1))
ctypes.c_int32.from_address(flag_pointer(1)).value = 5
print(*[CudaMemory(driver.device(n)).synchronize() for n in (0, 1, 1)])
ctypes.c_int32.from_address(flag_pointer(0)).value = 3
print(take_flag(1), take_flag(0), take_flag(0))
"""
    )
    assert rehearsal(code, DEVICES=2).splitlines() == ["True False", "0 5 0", "0 3 0"]
