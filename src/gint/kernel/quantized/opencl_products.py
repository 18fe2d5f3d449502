"""The device that quantised products run on under OpenCL. Knows pyopencl, not products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gint.kernel.interpreter.opencl.backend import open_here

from .device_products import KERNEL, DeviceProducts, source


class OpenclDevice:
    """The backend's device and queue (see device_products.Device)."""

    def __init__(self) -> None:
        self._kernels: dict[tuple, Any] = {}

    @property
    def block(self) -> int:
        return min(128, open_here().device.max_work_group_size // 32 * 32)

    def upload(self, array: np.ndarray) -> Any:
        import pyopencl as cl

        flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        if array.nbytes == 0:
            return self.allocate(1)
        return cl.Buffer(open_here().context, flags, hostbuf=array)

    def allocate(self, nbytes: int) -> Any:
        import pyopencl as cl

        return cl.Buffer(open_here().context, cl.mem_flags.READ_WRITE, nbytes)

    def download(self, memory: Any, array: np.ndarray) -> None:
        import pyopencl as cl

        device = open_here()
        if array.nbytes:
            with device.lock:
                cl.enqueue_copy(device.queue, array, memory, is_blocking=True)

    def launch(
        self, defines: Mapping[str, int], groups: int, memory: list[Any], numbers: list[int]
    ) -> None:
        import pyopencl as cl

        device = open_here()
        with device.lock:
            kernel = self._kernel(device, defines)
            kernel.set_args(*memory, *map(np.uint32, numbers))
            block = defines["GI_BLOCK"]
            cl.enqueue_nd_range_kernel(device.queue, kernel, (groups * block,), (block,))

    def _kernel(self, device: Any, defines: Mapping[str, int]) -> Any:
        import pyopencl as cl

        key = (device, *defines.items())
        if key not in self._kernels:
            options = ["-cl-std=CL1.2", *(f"-D{name}={value}" for name, value in defines.items())]
            program = cl.Program(device.context, source()).build(options)
            self._kernels[key] = cl.Kernel(program, KERNEL)
        return self._kernels[key]


PRODUCTS = DeviceProducts(OpenclDevice())
