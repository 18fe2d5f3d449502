"""One OpenCL device: its choice, context, queue and the builds of the device interpreter.

Contexts and the worker threads of CPU platforms do not survive a fork: a process forked from one
that has opened a device cannot use OpenCL and says so; one forked before can. Knows pyopencl. Does
not know programs or plans.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from gint.kernel.interpreter.device.build import Build, source

from .errors import OpenclError, in_words

VARIABLE = "GINT_OPENCL_DEVICE"
_VERSION = (1, 2)
#: Of the arguments of gint_run: records, record_at, scratch and the error flag come before.
FIRST_SLOT = 4


class NoDeviceError(Exception):
    """No OpenCL device can be used; the text says why."""


def candidates(wanted: str | None = None) -> list[tuple[str, Any]]:
    """Devices to try, the preferred first, each with its number "platform:device".

    GPUs, then accelerators, then CPUs, of OpenCL 1.2 or later; `wanted`, else GINT_OPENCL_DEVICE,
    restricts them: numbers or parts of names ("0:0", "pocl", ":nvidia"). Raises NoDeviceError.
    """
    import pyopencl as cl

    wanted = os.environ.get(VARIABLE, "") if wanted is None else wanted
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        raise NoDeviceError(f"there is no OpenCL platform: {error}") from None
    found = [(f"{n}:{k}", p, d) for n, p in enumerate(platforms) for k, d in enumerate(_devices(p))]
    if not found:
        names = ", ".join(p.name.strip() for p in platforms) or "none there"
        raise NoDeviceError(f"no OpenCL platform has a device: {names}")
    platform, _, device = wanted.partition(":")
    matching = [
        (number, d) for number, p, d in found
        if _matches(platform, number.partition(":")[0], p.name)
        and _matches(device, number.partition(":")[2], d.name)
    ]  # fmt: skip
    if not matching:
        known = "; ".join(f"{number} is {describe(d)}" for number, _, d in found)
        raise NoDeviceError(f"{VARIABLE} asks for {wanted!r}, and no device is that: {known}")
    new = [(number, d) for number, d in matching if _version(d) >= _VERSION]
    if not new:
        _, old = matching[0]
        raise NoDeviceError(f"{describe(old)} speaks {old.version.strip()}; 1.2 is needed")
    return sorted(new, key=lambda pair: _rank(pair[1]))


def _devices(platform: Any) -> list[Any]:
    import pyopencl as cl

    try:
        return platform.get_devices()
    except cl.Error:  # a platform without a device says so by an error
        return []


def _matches(wanted: str, number: str, name: str) -> bool:
    return (
        not wanted or wanted == number or (not wanted.isdigit() and wanted.lower() in name.lower())
    )


def _rank(device: Any) -> int:
    import pyopencl as cl

    order = (cl.device_type.GPU, cl.device_type.ACCELERATOR, cl.device_type.CPU)
    return next((n for n, kind in enumerate(order) if device.type & kind), len(order))


def _version(device: Any) -> tuple[int, int]:
    """Of "OpenCL 1.2 pocl HSTR..."."""
    major, _, minor = device.version.split()[1].partition(".")
    return int(major), int(minor)


def describe(device: Any) -> str:
    return f"{device.name.strip()} on {device.platform.name.strip()}"


def is_cpu(device: Any) -> bool:
    import pyopencl as cl

    return bool(device.type & cl.device_type.CPU)


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


def open_device(number: str = "") -> OpenDevice:
    """This process's device, opened at the first use: `number`, or the first candidate.

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
                _open = OpenDevice(candidates(number or None)[0][1])
            except NoDeviceError as error:
                raise OpenclError(f"No OpenCL device can be opened: {error}.") from None
        return _open
