"""One OpenCL device: its choice, context, queue and the builds of the device interpreter.

A device is opened once per process: after a fork the child opens its own, since contexts and the
threads of a CPU platform do not survive one. Knows pyopencl. Does not know programs or plans.
"""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import Any

from gint.kernel.interpreter.device.build import Build, source

VARIABLE = "GINT_OPENCL_DEVICE"
_VERSION = (1, 2)


class NoDeviceError(Exception):
    """No OpenCL device can be used; the text says why and what to do."""


def choose(wanted: str | None = None) -> Any:
    """The pyopencl device to run on: that of `wanted` ("platform:device", numbers or parts of
    names), of GINT_OPENCL_DEVICE, or the first GPU, else accelerator, else CPU. Raises
    NoDeviceError."""
    import pyopencl as cl

    wanted = os.environ.get(VARIABLE) if wanted is None else wanted
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        raise NoDeviceError(f"no OpenCL platform: {error}") from None
    found = [(p, d, k) for p in platforms for k, d in enumerate(_devices(p))]
    if not found:
        raise NoDeviceError(f"no OpenCL platform has a device ({_names(platforms) or 'none'})")
    if wanted:
        platform, _, device = wanted.partition(":")
        found = [
            (p, d, k) for p, d, k in found
            if _matches(platform, platforms.index(p), p.name) and _matches(device, k, d.name)
        ]  # fmt: skip
        if not found:
            raise NoDeviceError(
                f"{VARIABLE} asks for {wanted!r}, and no device is that; {_list(platforms)}"
            )
    kinds = cl.device_type
    order = (kinds.GPU, kinds.ACCELERATOR, kinds.CPU)
    rank = {kind: n for n, kind in enumerate(order)}
    new = [d for _, d, _ in found if _version(d) >= _VERSION]
    if not new:
        raise NoDeviceError(
            f"{found[0][1].name.strip()} speaks {found[0][1].version.strip()}; 1.2 is needed"
        )
    return min(new, key=lambda d: min((r for k, r in rank.items() if d.type & k), default=9))


def _devices(platform: Any) -> list[Any]:
    import pyopencl as cl

    try:
        return platform.get_devices()
    except cl.Error:  # a platform without a device says so by an error
        return []


def _matches(wanted: str, number: int, name: str) -> bool:
    return not wanted or wanted == str(number) or wanted.lower() in name.lower()


def _names(platforms: list[Any]) -> str:
    return ", ".join(p.name.strip() for p in platforms)


def _list(platforms: list[Any]) -> str:
    lines = [
        f"{n}:{k} is {p.name.strip()}, {d.name.strip()}"
        for n, p in enumerate(platforms)
        for k, d in enumerate(_devices(p))
    ]
    return "; ".join(lines)


def _version(device: Any) -> tuple[int, int]:
    """Of "OpenCL 1.2 pocl HSTR..."."""
    major, _, minor = device.version.split()[1].partition(".")
    return int(major), int(minor)


def describe(device: Any) -> str:
    return f"{device.name.strip()} on {device.platform.name.strip()}"


def has_float64(device: Any) -> bool:
    return bool(device.double_fp_config)


def is_cpu(device: Any) -> bool:
    import pyopencl as cl

    return bool(device.type & cl.device_type.CPU)


class OpenedDevice:
    """A device with a context and an in-order queue. `lock` is held by whoever uses the queue."""

    def __init__(self, device: Any) -> None:
        import pyopencl as cl

        self.device, self.pid = device, os.getpid()
        self.lock = threading.RLock()
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context)
        self.shares_memory = bool(device.host_unified_memory)
        self._programs: dict[Build, Any] = {}

    def build_for(self, word_bits: int) -> Build:
        """Few threads a group on CPUs, where each runs one group after the other."""
        most = self.device.max_work_group_size
        block = min(32 if is_cpu(self.device) else 256, 1 << (most.bit_length() - 1))
        elements = 8 if word_bits == 32 or is_cpu(self.device) else 4
        return Build(word_bits, elements=elements, block=block)

    def kernels(self, build: Build) -> tuple[Any, Any]:
        """gint_run and gint_combine, new objects: their arguments are state."""
        import pyopencl as cl

        with self.lock:
            if build not in self._programs:
                self._programs[build] = cl.Program(self.context, source()).build(
                    self.options(build)
                )
            program = self._programs[build]
            return tuple(
                cl.Kernel(program, build.kernel(name)) for name in ("gint_run", "gint_combine")
            )

    def options(self, build: Build) -> list[str]:
        import pyopencl as cl

        options = ["-cl-std=CL1.2", *(f"-D{k}={v}" for k, v in build.defines.items())]
        if self.device.single_fp_config & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT:
            options.append("-cl-fp32-correctly-rounded-divide-sqrt")
        return options

    @cached_property
    def error_word(self) -> Any:
        import pyopencl as cl

        return cl.Buffer(self.context, cl.mem_flags.READ_WRITE, 4)
