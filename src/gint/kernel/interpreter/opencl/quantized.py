"""The device that quantised products run on under OpenCL. Knows pyopencl, not products."""

from __future__ import annotations

from typing import Any

import numpy as np

from gint.kernel.interpreter.device.quantized import DeviceProducts, ProductsBuild

from .device import open_device


class OpenclProductsDevice:
    """The backend's device and queue (see device.quantized)."""

    def __init__(self) -> None:
        self._kernels: dict[tuple[Any, str], Any] = {}

    @property
    def build(self) -> ProductsBuild:
        return ProductsBuild(min(128, open_device().device.max_work_group_size // 32 * 32))

    def upload(self, array: np.ndarray) -> Any:
        import pyopencl as cl

        flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        if array.nbytes == 0:
            return self.allocate(1)
        return cl.Buffer(open_device().context, flags, hostbuf=array)

    def allocate(self, nbytes: int) -> Any:
        import pyopencl as cl

        return cl.Buffer(open_device().context, cl.mem_flags.READ_WRITE, nbytes)

    def download(self, memory: Any, array: np.ndarray) -> None:
        import pyopencl as cl

        device = open_device()
        if array.nbytes:
            with device.lock:
                cl.enqueue_copy(device.queue, array, memory, is_blocking=True)

    def launch(self, kernel: str, groups: int, memory: list[Any], numbers: list[int]) -> None:
        import pyopencl as cl

        device, block = open_device(), self.build.block
        with device.lock:
            found = self._kernel(device, kernel)
            found.set_args(*memory, *map(np.uint32, numbers))
            cl.enqueue_nd_range_kernel(device.queue, found, (groups * block,), (block,))

    def _kernel(self, device: Any, name: str) -> Any:
        import pyopencl as cl

        if (device, name) not in self._kernels:
            build = self.build
            options = ["-cl-std=CL1.2", *(f"-D{k}={v}" for k, v in build.defines.items())]
            program = cl.Program(device.context, build.text).build(options)
            for kernel in program.all_kernels():
                self._kernels[device, kernel.function_name] = kernel
        return self._kernels[device, name]


PRODUCTS = DeviceProducts(OpenclProductsDevice())
