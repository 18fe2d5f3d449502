"""The `opencl` backend: verified programs on an OpenCL device, on host memory.

Does not know opcodes or tensors: encoding and planning are gint.kernel.interpreter.device's.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gint.host.backends import Capabilities, Probe
from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.kernel import DeviceKernel
from gint.kernel.interpreter.device.plan import Plan
from gint.program import VerifiedProgram

from .device import OpenedDevice, choose

if TYPE_CHECKING:
    from gint.kernel.quantized import QuantizedProducts

_opened: OpenedDevice | None = None
_opening = threading.Lock()


def opened() -> OpenedDevice:
    """This process's device, opened at the first use."""
    global _opened
    with _opening:
        if _opened is None or _opened.pid != os.getpid():
            _opened = OpenedDevice(choose())
        return _opened


class _Device:
    """Runs plans (see device.kernel.Device)."""

    def build_for(self, word_bits: int) -> Build:
        return opened().build_for(word_bits)

    def ready(self, made: Plan, build: Build, verified: VerifiedProgram) -> Callable[..., int]:
        import pyopencl as cl

        device = opened()
        flags = cl.mem_flags
        records = cl.Buffer(
            device.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=made.records
        )
        run, combine = device.kernels(build)
        scratch = (
            cl.Buffer(device.context, flags.READ_WRITE, made.scratch_bytes)
            if made.scratch_bytes
            else None
        )
        used = verified.program.slots_used
        sizes = made.storage_bytes
        error = np.zeros(1, np.int32)
        block = build.block

        def launch(*pointers: int) -> int:
            with device.lock:
                queue = device.queue
                buffers = [None] * 64
                hosts = {}
                for n in used:
                    if sizes[n]:
                        key = (pointers[n], sizes[n])
                        if key not in hosts:
                            host = (ctypes.c_char * sizes[n]).from_address(pointers[n])
                            hosts[key] = cl.Buffer(
                                device.context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=host
                            )
                        buffers[n] = hosts[key]
                error[0] = 0
                cl.enqueue_copy(queue, device.error_word, error)
                for step in made.launches:
                    if step.kernel == "gint_run":
                        run.set_args(
                            records, np.uint32(step.record_at), scratch, device.error_word, *buffers
                        )
                        cl.enqueue_nd_range_kernel(queue, run, (step.groups * block,), (block,))
                    else:
                        combine.set_args(records, np.uint32(step.record_at), scratch)
                        cl.enqueue_nd_range_kernel(queue, combine, (step.groups * block,), (block,))
                cl.enqueue_copy(queue, error, device.error_word)
                queue.finish()
                return int(error[0])

        return launch


class OpenclBackend:
    name = "opencl"
    device = "cpu"
    capabilities = Capabilities()

    def probe(self) -> Probe:
        try:
            return Probe(True, str(choose()))
        except Exception as error:
            return Probe(False, str(error))

    @property
    def quantized(self) -> QuantizedProducts:
        from gint.kernel.quantized.opencl_products import PRODUCTS

        return PRODUCTS

    def load(self, verified: VerifiedProgram) -> Any:
        return DeviceKernel(verified, _Device())


BACKEND = OpenclBackend()
