"""The OpenCL device of this process: its context, queue and the builds of the device interpreter.

Contexts and the worker threads of CPU platforms do not survive a fork: a process forked from one
that has opened a device cannot use OpenCL and says so; one forked before can. Knows pyopencl. Does
not know programs or dispatches.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from gint.backend.registry import probe
from gint.kernel.interpreter.device.build import Build, source

from .devices import NoDeviceError, candidates, describe, is_cpu
from .errors import OpenclError, in_words

#: Of the arguments of gint_run: records, record_at, scratch and the error flag come before.
FIRST_SLOT = 4


class OpenDevice:
    """A device with a context and an in-order queue. Whoever uses these holds `lock`."""

    def __init__(self, device: Any) -> None:
        import pyopencl as cl

        self.device, self.name, self.pid = device, describe(device), os.getpid()
        self.lock = threading.RLock()
        with in_words(self.name, "it was opened"):
            self.context = cl.Context([device])
            self.queue = cl.CommandQueue(self.context)
            self.error_word = cl.Buffer(
                self.context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=bytes(4)
            )
        self.shares_memory = bool(device.host_unified_memory)
        self.has_float64 = bool(device.double_fp_config)
        self.is_cpu = is_cpu(device)
        self.build_seconds: dict[Build, float] = {}
        self._programs: dict[Build, Any] = {}
        self._kernels: dict[tuple[Build, str], Any] = {}
        self._scratch: Any = None

    def build_for(self, word_bits: int) -> Build:
        """Small groups on CPUs, where a core runs the threads of a group one after the other."""
        most = int(self.device.max_work_group_size)
        block = min(32 if self.is_cpu else 256, 1 << (most.bit_length() - 1))
        elements = 8 if word_bits == 32 or self.is_cpu else 4
        return Build(word_bits, elements=elements, block=block, on_cpu=self.is_cpu)

    def kernel(self, build: Build, name: str) -> Any:
        """The kernel gint_run or gint_combine. Arguments are its state: set them holding `lock`."""
        import pyopencl as cl

        with self.lock, in_words(self.name, "the interpreter was built for it"):
            if build not in self._programs:
                start = time.perf_counter()
                program = cl.Program(self.context, source())
                self._programs[build] = program.build(self._options(build))
                self.build_seconds[build] = time.perf_counter() - start
            if (build, name) not in self._kernels:
                kernel = cl.Kernel(self._programs[build], build.kernel(name))
                self._kernels[build, name] = kernel
                if name == "gint_run":
                    kernel.set_arg(3, self.error_word)
                    for slot in range(FIRST_SLOT, kernel.num_args):
                        kernel.set_arg(slot, None)
            return self._kernels[build, name]

    def _options(self, build: Build) -> list[str]:
        import pyopencl as cl

        options = ["-cl-std=CL1.2", *(f"-D{k}={v}" for k, v in build.defines.items())]
        if not self.has_float64:
            options.append("-DGI_HAS_F64=0")
        if self.device.single_fp_config & cl.device_fp_config.FMA:
            options.append("-DGI_HAS_FMA=1")
        if self.device.single_fp_config & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT:
            options.append("-cl-fp32-correctly-rounded-divide-sqrt")
        return options

    def scratch(self, size: int) -> Any:
        """At least `size` bytes, the same for all launches: the queue runs them in order."""
        import pyopencl as cl

        if self._scratch is None or self._scratch.size < size:
            with in_words(self.name, f"{size} bytes of scratch memory were asked for"):
                self._scratch = cl.Buffer(self.context, cl.mem_flags.READ_WRITE, size)
        return self._scratch


_open: OpenDevice | None = None
_opening = threading.Lock()
_forked_while_open = False


def _after_fork() -> None:
    global _open, _opening, _forked_while_open
    _forked_while_open = _forked_while_open or _open is not None
    _open, _opening = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def open_device() -> OpenDevice:
    """This process's device: that which the probe found to run kernels, opened at the first use.

    Raises OpenclError."""
    global _open
    with _opening:
        if _forked_while_open:
            raise OpenclError(
                "This process was forked from one that had opened an OpenCL device, and OpenCL "
                "does not survive that.\nStart it by the `spawn` or `forkserver` method of "
                "multiprocessing, or use another backend in it."
            )
        if _open is None:
            try:
                _open = OpenDevice(candidates(probe("opencl").device or None)[0][1])
            except NoDeviceError as error:
                raise OpenclError(f"No OpenCL device can be opened: {error}.") from None
        return _open
