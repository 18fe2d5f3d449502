"""NumPy arrays on a device and back, and the word in which kernels leave their error flag.

Knows arrays and the driver. Does not know programs. torch's tensors never come here: they have an
allocator of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from functools import cache
from sys import is_finalizing
from threading import Lock
from typing import Any

import numpy as np

from .driver import CudaError, Device, bindings, check, default_ordinal, device


class DeviceArray:
    """An array in C order on a device, freed with the last reference.

    `__cuda_array_interface__` hands it to CuPy, Numba, torch (torch.as_tensor) without a copy.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, where: Device) -> None:
        # NumPy's own interface knows no bfloat16: its bits stand for it, as elsewhere.
        self.shape, self.dtype = shape, _plain(dtype)
        self.where, self.nbytes = where, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.pointer = 0
        if self.nbytes:
            with where.without_capture():
                found = bindings().cuMemAlloc(self.nbytes)
            self.pointer = int(check(found, where, f"an array of {self.nbytes} bytes"))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape, "typestr": self.dtype.str, "data": (self.pointer, False),
            "strides": None, "version": 3, "stream": None,
        }  # fmt: skip

    @property
    def device(self) -> Any:
        """With the ordinal as `id`, as CuPy has it."""
        return _Place(self.where.ordinal)

    def __del__(self, is_exiting: Callable[[], bool] = is_finalizing) -> None:
        # When Python exits, names of this module may be gone; memory goes with the process.
        if getattr(self, "pointer", 0) and not is_exiting():
            with contextlib.suppress(CudaError), self.where.without_capture():
                bindings().cuMemFree(self.pointer)  # waits for what still uses it


class _Place:
    def __init__(self, ordinal: int) -> None:
        self.id = ordinal


def _plain(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.uint16) if dtype.name == "bfloat16" else dtype


class Scratch:
    """Memory for one launch, in the order of its stream; its address as torch's tensors say it."""

    def __init__(self, where: Device, stream: int, nbytes: int) -> None:
        self.where, self.stream, self.pointer = where, stream, 0
        with where.current():
            found = bindings().cuMemAllocAsync(nbytes, stream)
        self.pointer = int(check(found, where, f"{nbytes} bytes of scratch memory"))

    def data_ptr(self) -> int:
        return self.pointer

    def __del__(self, is_exiting: Callable[[], bool] = is_finalizing) -> None:
        if self.pointer and not is_exiting():
            with contextlib.suppress(CudaError), self.where.current():
                bindings().cuMemFreeAsync(self.pointer, self.stream)


class CudaMemory:
    """One device's memory, by default that for arrays that lie on none. Work is on its default
    stream."""

    def __init__(self, where: Device | None = None) -> None:
        self.where = where or device(default_ordinal())

    @property
    def ordinal(self) -> int:
        return self.where.ordinal

    def upload(self, array: np.ndarray) -> DeviceArray:
        made = self.allocate(array.shape, array.dtype)
        source = np.ascontiguousarray(array)
        if made.nbytes:
            doing = f"copying {made.nbytes} bytes to it"
            with made.where.without_capture():
                copied = bindings().cuMemcpyHtoD(made.pointer, source.ctypes.data, made.nbytes)
                check(copied, made.where, doing)
                # Of pageable memory the copy may still be under way when that call returns, which
                # other streams than the default one do not wait for.
                check(bindings().cuStreamSynchronize(0), made.where, doing)
        return made

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        return DeviceArray(tuple(shape), dtype, self.where)

    def download(self, source: DeviceArray, array: np.ndarray) -> None:
        if not source.nbytes:
            return
        target = array if array.flags.c_contiguous else np.empty(source.shape, source.dtype)
        with source.where.current():
            copied = bindings().cuMemcpyDtoH(target.ctypes.data, source.pointer, source.nbytes)
        check(copied, source.where, f"copying {source.nbytes} bytes from it")
        if target is not array:
            array[...] = target.view(array.dtype)

    def synchronize(self) -> int:
        with self.where.current():
            check(bindings().cuCtxSynchronize(), self.where, "the kernels launched before")
        return take_flag(self.where.ordinal)


class _Flag:
    """A word of host memory that the kernels of one device write: no copy is needed to read it."""

    def __init__(self, where: Device) -> None:
        driver = bindings()
        options = driver.CU_MEMHOSTALLOC_PORTABLE | driver.CU_MEMHOSTALLOC_DEVICEMAP
        with where.without_capture():
            memory = check(driver.cuMemHostAlloc(4, options), where, "a word of pinned memory")
            seen = check(driver.cuMemHostGetDevicePointer(memory, 0), where, "mapping its flag")
        self.word = ctypes.c_int32.from_address(int(memory))
        self.word.value = 0
        self.pointer = int(seen)


@cache
def _flag(ordinal: int) -> _Flag:
    return _Flag(device(ordinal))


_one_flag = Lock()  # two threads must not make one each: the other's would never be read


def flag_pointer(ordinal: int) -> int:
    """Where kernels on a device set bits of the error flag."""
    with _one_flag:
        return _flag(ordinal).pointer


def flag_reader(ordinal: int) -> Callable[[], int]:
    """What kernels on a device have set since it was last asked, as far as they have come."""
    with _one_flag:
        word = _flag(ordinal).word

    def take() -> int:
        found = word.value
        if found:
            word.value = 0
        return found

    return take


def take_flag(ordinal: int) -> int:
    return flag_reader(ordinal)()
