"""The `opencl` backend: verified programs on an OpenCL device, on host memory.

Does not know opcodes or tensors: encoding and planning are gint.kernel.interpreter.device's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gint.backend.protocol import Backend, Capabilities, Probe
from gint.backend.registry import probe
from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.dispatches import DispatchList
from gint.kernel.interpreter.device.kernel import DeviceKernel
from gint.program import VerifiedProgram

from .device import FIRST_SLOT, open_device
from .errors import in_words
from .memory import HostMemory, host_ranges
from .probe import probe as ask

if TYPE_CHECKING:
    from gint.quantized import QuantizedProducts


class OpenclDispatcher:
    """Dispatches on this process's device (see device.kernel)."""

    def __init__(self) -> None:
        self._memory: HostMemory | None = None

    def memory(self) -> HostMemory:
        device = open_device()
        if self._memory is None or self._memory.device is not device:
            self._memory = HostMemory(device)
        return self._memory

    def build_for(self, word_bits: int) -> Build:
        return open_device().build_for(word_bits)

    def bind(self, dispatches: DispatchList, build: Build) -> Callable[..., int]:
        return BoundLaunch(self.memory(), dispatches, build)


class BoundLaunch:
    """The dispatches of a launch, their records on the device. Several threads may call it."""

    def __init__(self, memory: HostMemory, found: DispatchList, build: Build) -> None:
        import pyopencl as cl

        self.memory, self.found, self.block = memory, found, (build.block,)
        self.device = device = memory.device
        start = {t.slot: 0 if device.shares_memory else t.region.low for t in found.touched}
        self.start, self.flags = start, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        self.records = self._upload({n: -low for n, low in start.items() if low})
        self.steps = [
            (
                device.kernel(build, dispatch.kernel),
                np.uint32(dispatch.record_at),
                (dispatch.groups * build.block,),
            )
            for dispatch in found.dispatches
        ]
        self.run = device.kernel(build, "gint_run")

    def _upload(self, shifts: dict[int, int]):
        import pyopencl as cl

        records = self.found.shifted(shifts) if shifts else self.found.records
        with in_words(self.device.name, "a launch was prepared"):
            return cl.Buffer(self.device.context, self.flags, hostbuf=records)

    def __call__(self, *pointers: int) -> int:
        """Launch and wait; the error flag."""
        if os.getpid() != self.device.pid:
            open_device()  # says that the device did not survive the fork
        with self.device.lock, in_words(self.device.name, "a program ran"):
            try:
                self._launch(pointers)
            finally:  # the next launch must not see buffers of this one, nor of one that failed
                for t in self.found.touched:
                    self.run.set_arg(FIRST_SLOT + t.slot, None)
            return self._error() if self.found.may_fail else 0

    def _launch(self, pointers: tuple[int, ...]) -> None:
        import pyopencl as cl

        queue = self.device.queue
        bound = [
            (memory, self.memory.buffer(memory))
            for memory in host_ranges(self.device.shares_memory, self.found.touched, pointers)
        ]
        shifts: dict[int, int] = {}
        for memory, buffer in bound:
            for n in memory.slots:
                first = pointers[n] - memory.start
                if first + self.start[n]:
                    shifts[n] = first
                self.run.set_arg(FIRST_SLOT + n, buffer)
        records = self._upload(shifts) if shifts else self.records
        scratch = (
            self.device.scratch(self.found.scratch_bytes) if self.found.scratch_bytes else None
        )
        for kernel, record_at, size in self.steps:
            kernel.set_arg(0, records)
            kernel.set_arg(1, record_at)
            kernel.set_arg(2, scratch)
            cl.enqueue_nd_range_kernel(queue, kernel, size, self.block)
        for memory, buffer in bound:
            if memory.writes:
                self.memory.give_back(memory, buffer)
        queue.finish()

    def _error(self) -> int:
        """Of this launch; cleared for the next."""
        import pyopencl as cl

        flag = np.zeros(1, np.int32)
        cl.enqueue_copy(self.device.queue, flag, self.device.error_word)
        if flag[0]:
            cl.enqueue_copy(self.device.queue, self.device.error_word, np.zeros(1, np.int32))
        return int(flag[0])


class OpenclBackend:
    name = "opencl"
    device = "cpu"
    memory = None

    def __init__(self) -> None:
        self._dispatcher = OpenclDispatcher()

    @property
    def capabilities(self) -> Capabilities:
        """All there is; without f64 on a device that lacks it. Opens the device."""
        every = Capabilities()
        if not probe(self.name).usable or open_device().has_float64:
            return every
        return Capabilities(types=every.types - {"f64"})

    def probe(self) -> Probe:
        return ask()

    row_steps = dense = None

    @property
    def quantized(self) -> QuantizedProducts:
        from .quantized import PRODUCTS

        return PRODUCTS

    def load(self, verified: VerifiedProgram) -> DeviceKernel:
        return DeviceKernel(verified, self._dispatcher)


BACKEND: Backend = OpenclBackend()
