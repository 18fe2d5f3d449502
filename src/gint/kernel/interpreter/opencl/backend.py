"""The `opencl` backend: verified programs on an OpenCL device, on host memory.

Does not know opcodes or tensors: encoding and planning are gint.kernel.interpreter.device's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gint.backend.protocol import Backend, Capabilities, Probe
from gint.backend.registry import probe
from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.kernel import DeviceKernel
from gint.kernel.interpreter.device.plan import Plan
from gint.program import VerifiedProgram

from .device import FIRST_SLOT, OpenDevice, open_device
from .errors import in_words
from .memory import HostMemory, regions
from .probe import probe as ask

if TYPE_CHECKING:
    from gint.quantized import QuantizedProducts


def open_here() -> OpenDevice:
    """This process's device: that which the probe found to run kernels. Raises OpenclError."""
    number = re.search(r"\((\d+:\d+)\)$", probe("opencl").description)
    return open_device(number.group(1) if number else "")


class OpenclDevice:
    """Runs plans on this process's device (see device.kernel.Device)."""

    def __init__(self) -> None:
        self._memory: HostMemory | None = None

    def memory(self) -> HostMemory:
        device = open_here()
        if self._memory is None or self._memory.device is not device:
            self._memory = HostMemory(device)
        return self._memory

    def build_for(self, word_bits: int) -> Build:
        return open_here().build_for(word_bits)

    def ready(self, made: Plan, build: Build, verified: VerifiedProgram) -> Callable[..., int]:
        return ReadyLaunch(self.memory(), made, build)


class ReadyLaunch:
    """A plan on a device, its records there. Several threads may call it."""

    def __init__(self, memory: HostMemory, made: Plan, build: Build) -> None:
        import pyopencl as cl

        self.memory, self.made, self.block = memory, made, (build.block,)
        self.device = device = memory.device
        start = {t.slot: 0 if device.shares_memory else t.low for t in made.touched}
        self.start, self.flags = start, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        self.records = self._upload({n: -low for n, low in start.items() if low})
        self.steps = [
            (
                device.kernel(build, launch.kernel),
                np.uint32(launch.record_at),
                (launch.groups * build.block,),
            )
            for launch in made.launches
        ]
        self.run = device.kernel(build, "gint_run")

    def _upload(self, shifts: dict[int, int]):
        import pyopencl as cl

        records = self.made.shifted(shifts) if shifts else self.made.records
        with in_words(self.device.name, "a launch was prepared"):
            return cl.Buffer(self.device.context, self.flags, hostbuf=records)

    def __call__(self, *pointers: int) -> int:
        """Launch and wait; the error flag."""
        if os.getpid() != self.device.pid:
            open_here()  # says that the device did not survive the fork
        with self.device.lock, in_words(self.device.name, "a program ran"):
            try:
                self._launch(pointers)
            finally:  # the next launch must not see buffers of this one, nor of one that failed
                for t in self.made.touched:
                    self.run.set_arg(FIRST_SLOT + t.slot, None)
            return self._error() if self.made.may_fail else 0

    def _launch(self, pointers: tuple[int, ...]) -> None:
        import pyopencl as cl

        queue = self.device.queue
        bound = [
            (region, self.memory.buffer(region))
            for region in regions(self.device.shares_memory, self.made.touched, pointers)
        ]
        shifts: dict[int, int] = {}
        for region, buffer in bound:
            for n in region.slots:
                first = pointers[n] - region.start
                if first + self.start[n]:
                    shifts[n] = first
                self.run.set_arg(FIRST_SLOT + n, buffer)
        records = self._upload(shifts) if shifts else self.records
        scratch = self.device.scratch(self.made.scratch_bytes) if self.made.scratch_bytes else None
        for kernel, record_at, size in self.steps:
            kernel.set_arg(0, records)
            kernel.set_arg(1, record_at)
            kernel.set_arg(2, scratch)
            cl.enqueue_nd_range_kernel(queue, kernel, size, self.block)
        for region, buffer in bound:
            if region.writes:
                self.memory.give_back(region, buffer)
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
    matmul = None

    def __init__(self) -> None:
        self._device = OpenclDevice()

    @property
    def capabilities(self) -> Capabilities:
        """All there is; without f64 on a device that lacks it. Opens the device."""
        every = Capabilities()
        if not probe(self.name).usable or open_here().has_float64:
            return every
        return Capabilities(types=every.types - {"f64"})

    def probe(self) -> Probe:
        return ask()

    @property
    def quantized(self) -> QuantizedProducts:
        from .quantized import PRODUCTS

        return PRODUCTS

    def load(self, verified: VerifiedProgram) -> DeviceKernel:
        return DeviceKernel(verified, self._device)


BACKEND: Backend = OpenclBackend()
