"""The CUDA driver as this backend uses it: devices, their primary contexts, errors in words.

Knows NVIDIA's bindings (imported when a device is first asked for). Does not know programs,
kernels, torch. The primary context of a device is the one torch and the CUDA runtime use too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gint.backend.protocol import Probe

from .build import COMMAND
from .devices import LIBRARY

#: The oldest compute capability the interpreter is built for (Turing).
OLDEST = (7, 5)

#: After one of these nothing can run in the context any more; CUDA calls them sticky.
_STICKY = (
    "CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_ASSERT", "CUDA_ERROR_HARDWARE_STACK_ERROR", "CUDA_ERROR_ILLEGAL_INSTRUCTION",
    "CUDA_ERROR_MISALIGNED_ADDRESS", "CUDA_ERROR_INVALID_ADDRESS_SPACE", "CUDA_ERROR_INVALID_PC",
    "CUDA_ERROR_ECC_UNCORRECTABLE", "CUDA_ERROR_CONTEXT_IS_DESTROYED",
)  # fmt: skip

#: What a driver answers to machine code that is for other devices, or by a newer toolkit.
_NOT_LOADABLE = (
    "CUDA_ERROR_NO_BINARY_FOR_GPU", "CUDA_ERROR_INVALID_IMAGE", "CUDA_ERROR_INVALID_PTX",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "CUDA_ERROR_JIT_COMPILER_NOT_FOUND",
)  # fmt: skip


class CudaError(RuntimeError):
    """The driver refused; the message names the device and what to do."""


class CudaOutOfMemoryError(CudaError, MemoryError):
    """The device has not enough free memory."""


@cache
def bindings() -> Any:
    """The module cuda.bindings.driver; its names are the driver API's own."""
    from cuda.bindings import driver

    return driver


@cache
def _start() -> None:
    """Initialise the driver for this process."""
    (error,) = bindings().cuInit(0)
    if error:
        raise CudaError(f"The CUDA driver does not start: {_words(error)}.")


def _words(error: Any) -> str:
    _, text = bindings().cuGetErrorString(error)
    return f"{error.name}: {text.decode()}" if text else str(error.name)


def check(result: tuple, device: Device, doing: str) -> Any:
    """What a driver call returned, or an exception that names the device and what was tried."""
    error, *values = result
    if error:
        raise failure(error, device, doing)
    return values[0] if values else None


def failure(error: Any, device: Device, doing: str) -> CudaError:
    """The exception for an error code."""
    if error.name == "CUDA_ERROR_OUT_OF_MEMORY":
        return CudaOutOfMemoryError(
            f"{device} has not enough free memory for {doing}{device.free_memory()}.\n"
            "Let go of tensors (torch: torch.cuda.empty_cache() returns what it keeps), use "
            "smaller inputs, or another backend: GINT_BACKEND=cpp."
        )
    if error.name in _STICKY:
        return CudaError(
            f"{device} failed in {doing} or in a kernel before it: {_words(error)}.\n"
            "Its context cannot be used any more in this process. Other backends can "
            "(GINT_BACKEND=cpp), a new process can use the device again; "
            "CUDA_LAUNCH_BLOCKING=1 or compute-sanitizer finds the kernel."
        )
    if error.name == "CUDA_ERROR_NOT_INITIALIZED":
        return CudaError(
            f"{device} cannot be used for {doing}: {_words(error)}.\nA process made by fork cannot "
            'use CUDA; start it with multiprocessing\'s method "spawn".'
        )
    if error.name in _NOT_LOADABLE:
        return CudaError(
            f"{device} cannot run the interpreter as it was built: {_words(error)}.\n"
            f"The driver is one for CUDA {_version(bindings())}. Build it again ({COMMAND}) with a "
            "toolkit that is no newer, or update the driver."
        )
    return CudaError(f"{device} refused {doing}: {_words(error)}.")


class Device:
    """A device by its ordinal, torch's index."""

    def __init__(self, ordinal: int) -> None:
        _start()
        self.ordinal = ordinal
        error, self.handle = bindings().cuDeviceGet(ordinal)
        if error:
            raise CudaError(f"There is no CUDA device {ordinal}; there are {device_count()}.")

    def __str__(self) -> str:
        return f"CUDA device {self.ordinal} ({self.name})"

    @cached_property
    def name(self) -> str:
        _, name = bindings().cuDeviceGetName(256, self.handle)
        return name.split(b"\0")[0].decode()

    def attribute(self, name: str) -> int:
        """A device attribute, by the end of its name in the driver API."""
        which = getattr(bindings().CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return check(bindings().cuDeviceGetAttribute(which, self.handle), self, f"reading {name}")

    @cached_property
    def capability(self) -> tuple[int, int]:
        return (
            self.attribute("COMPUTE_CAPABILITY_MAJOR"),
            self.attribute("COMPUTE_CAPABILITY_MINOR"),
        )

    @cached_property
    def context(self) -> Any:
        """The primary context, kept for the life of the process."""
        return check(bindings().cuDevicePrimaryCtxRetain(self.handle), self, "making a context")

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """The device's context as the thread's current one; afterwards what was current before."""
        driver = bindings()
        before = check(driver.cuCtxGetCurrent(), self, "finding the thread's context")
        if int(before) == int(self.context):
            yield
            return
        check(driver.cuCtxPushCurrent(self.context), self, "entering its context")
        try:
            yield
        finally:
            # A thread that had none keeps this one, as the CUDA runtime would have it.
            if int(before):
                driver.cuCtxPopCurrent()

    @contextlib.contextmanager
    def without_capture(self) -> Iterator[None]:
        """`current`, for work that no stream sees: memory, copies, modules.

        A CUDA graph that this thread captures, or another in torch's default mode, would be
        spoiled by it. That it is no part of any graph is said here, as torch's allocator says it.
        """
        with self.current():
            driver = bindings()
            relaxed = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
            error, before = driver.cuThreadExchangeStreamCaptureMode(relaxed)
            try:
                yield
            finally:
                if not error:
                    driver.cuThreadExchangeStreamCaptureMode(before)

    def free_memory(self) -> str:
        """For a sentence; empty where the driver does not say."""
        with self.current():
            error, free, total = bindings().cuMemGetInfo()
        return "" if error else f": {free >> 20} of {total >> 20} MiB are free"


@cache
def device(ordinal: int) -> Device:
    return Device(ordinal)


@cache
def device_count() -> int:
    _start()
    error, count = bindings().cuDeviceGetCount()
    return 0 if error else count


@cache
def default_ordinal() -> int:
    """The device for arrays that lie on none: the first that is new enough."""
    fitting = (n for n in range(device_count()) if device(n).capability >= OLDEST)
    return next(fitting, 0)


def is_running() -> bool:
    """Whether this process uses the driver already: then asking it is safe and quick."""
    try:
        ctypes.CDLL(LIBRARY, mode=os.RTLD_NOLOAD)
        error, _ = bindings().cuDeviceGetCount()
    except (OSError, AttributeError, ImportError):
        return False
    return not error


def probe_device() -> Probe:
    """Asks the driver: is there a device, and is it new enough? Raises nothing."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return Probe(False, f"no NVIDIA driver is installed: there is no {LIBRARY}.")
    try:
        driver = bindings()
        (error,) = driver.cuInit(0)
        if error:
            return Probe(False, _why_no_start(error))
        found = [device(n) for n in range(device_count())]
        names = [f"{d.name} (sm_{d.capability[0]}{d.capability[1]})" for d in found]
    except Exception as error:  # whatever the bindings or the driver come up with
        return Probe(False, f"the CUDA driver cannot be used: {_first_line(error)}")
    if not found:
        return Probe(False, "there is no CUDA device (CUDA_VISIBLE_DEVICES hides devices)")
    if not any(d.capability >= OLDEST for d in found):
        return Probe(
            False,
            f"too old: {', '.join(names)}; compute capability {OLDEST[0]}.{OLDEST[1]} or newer "
            "is needed",
        )
    return Probe(True, f"driver {_version(driver)}", ", ".join(names))


def _why_no_start(error: Any) -> str:
    if error.name == "CUDA_ERROR_NO_DEVICE":
        return "there is no CUDA device (CUDA_VISIBLE_DEVICES hides devices)"
    return f"the CUDA driver does not start: {_words(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _version(driver: Any) -> str:
    _, version = driver.cuDriverGetVersion()
    return f"{version // 1000}.{version % 1000 // 10}"


def state() -> str:
    """What an answer of the driver's depends on: the key under which it is cached."""
    parts = [os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.environ.get("LDLIBRARY_PATH", "")]
    with contextlib.suppress(PackageNotFoundError):  # the module may be there without its facts
        parts.append(version("cuda-bindings"))
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/driver/nvidia/version").read_text())
    with contextlib.suppress(OSError):
        parts += sorted(os.listdir("/proc/driver/nvidia/gpus"))
    return "\n".join(parts)
