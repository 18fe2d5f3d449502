"""The device that quantised products run on under CUDA. Knows the driver, not products."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any

import numpy as np

from gint.kernel.interpreter.cuda import build
from gint.kernel.interpreter.cuda.driver import bindings, check
from gint.kernel.interpreter.cuda.memory import CudaMemory
from gint.kernel.interpreter.device.quantized import DeviceProducts


class CudaProductsDevice:
    """The device of NumPy arrays, its default stream (see device.quantized)."""

    build = build.PRODUCTS

    @cached_property
    def _memory(self) -> CudaMemory:
        return CudaMemory()

    @cached_property
    def _module(self) -> Any:
        where = self._memory.where
        image = build.image_for(self.build, where.capability)
        with where.without_capture():
            return check(bindings().cuModuleLoadData(image), where, "loading quantised products")

    def upload(self, array: np.ndarray) -> Any:
        return self._memory.upload(array)

    def allocate(self, nbytes: int) -> Any:
        return self._memory.allocate((nbytes,), np.dtype(np.uint8))

    def download(self, memory: Any, array: np.ndarray) -> None:
        self._memory.download(memory, array)

    def launch(self, kernel: str, groups: int, memory: list[Any], numbers: list[int]) -> None:
        where, driver = self._memory.where, bindings()
        values = [*(ctypes.c_uint64(m.pointer) for m in memory), *map(ctypes.c_uint32, numbers)]
        addresses = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        with where.current():
            found = driver.cuModuleGetFunction(self._module, kernel.encode())
            function = check(found, where, f"finding {kernel}")
            launched = driver.cuLaunchKernel(
                function, groups, 1, 1, self.build.block, 1, 1, 0, 0, ctypes.addressof(addresses), 0
            )
        check(launched, where, "launching a quantised product")


PRODUCTS = DeviceProducts(CudaProductsDevice())
