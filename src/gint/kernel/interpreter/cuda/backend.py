"""The `cuda` backend: verified programs on NVIDIA GPUs, in the device form they share with opencl.

Knows how dispatches become calls of the driver. Does not know opcodes, torch or CuPy:
pointers, a stream and a way to get scratch memory is all it is given.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from gint.backend.probing import probe_in_subprocess
from gint.backend.protocol import Backend, Capabilities, Probe
from gint.isa.limits import MAX_SLOTS
from gint.program import SlotLayout, VerifiedProgram

from ..device.dispatches import DispatchList
from ..device.kernel import DeviceKernel, DeviceLaunch, NoDevice
from . import build, driver
from .build import CudaBuild
from .driver import Device, bindings, check, device
from .memory import CudaMemory, Scratch, flag_pointer, flag_reader

if TYPE_CHECKING:
    from gint.quantized import QuantizedProducts


class CudaKernel:
    """A program on the CUDA interpreter, for any device there is."""

    def __init__(self, verified: VerifiedProgram, builds: dict[int, CudaBuild]) -> None:
        self.verified, self.builds = verified, builds
        self._on: dict[int, DeviceKernel] = {}

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
        *,
        threads: int | None = None,
        device: int | None = None,
    ) -> DeviceLaunch:
        """A launch on a device (default: NumPy's). Raises CudaError and BuildError too."""
        ordinal = driver.default_ordinal() if device is None else device
        if ordinal not in self._on:
            self._on[ordinal] = DeviceKernel(self.verified, _Dispatcher(ordinal, self.builds))
        return self._on[ordinal].prepare(extents, params, slots)

    def describe(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
    ) -> str:
        """The device form of the program and the dispatches of a launch."""
        return DeviceKernel(self.verified, NoDevice(self.builds)).describe(extents, params, slots)


class _Dispatcher:
    """Dispatches on one device (see device.kernel)."""

    def __init__(self, ordinal: int, builds: dict[int, CudaBuild]) -> None:
        self.where, self.builds = device(ordinal), builds

    def build_for(self, word_bits: int) -> CudaBuild:
        return self.builds[word_bits]

    def bind(self, dispatches: DispatchList, build: Any) -> Callable[..., int]:
        return BoundLaunch(self.where, build, dispatches).launch


class _Arguments:
    """A kernel's arguments as the driver takes them: an array of their addresses."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.array = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        self.address = ctypes.addressof(self.array)


class BoundLaunch:
    """The dispatches of a launch on one device, packed: a call sets pointers and enqueues.

    The driver copies the arguments while it is called, so that one set of them serves all calls;
    the lock is for threads, because the bindings let go of Python's while they call the driver.
    """

    def __init__(self, where: Device, build: CudaBuild, found: DispatchList) -> None:
        self.where = where
        self.take_flag = flag_reader(where.ordinal) if found.may_fail else None
        self.scratch_bytes, self.block = found.scratch_bytes, build.block
        self.lock = Lock()
        self.slots = (ctypes.c_uint64 * MAX_SLOTS)()
        self.scratch = ctypes.c_uint64()
        self.records = CudaMemory(where).upload(found.records)
        self.calls: list[tuple[Any, int, _Arguments]] = []
        for dispatch in found.dispatches:
            arguments = self._arguments(dispatch.kernel, dispatch.record_at)
            function = kernels(where.ordinal, build)[dispatch.kernel]
            self.calls.append((function, dispatch.groups, arguments))
        #: With one device the context of a thread is right or missing, which the driver says.
        self.has_neighbours = driver.device_count() > 1

    def _arguments(self, kernel: str, record_at: int) -> _Arguments:
        values: list[Any] = [
            ctypes.c_uint64(self.records.pointer), ctypes.c_uint32(record_at), self.scratch,
        ]  # fmt: skip
        if kernel == "gint_run":
            values += [ctypes.c_uint64(flag_pointer(self.where.ordinal)), self.slots]
        return _Arguments(values)

    def launch(
        self, *pointers: int, stream: int = 0, scratch: Callable[[int], Any] | None = None
    ) -> int:
        """Launch on the stream; the error flag as far as it is known."""
        memory = None
        if self.scratch_bytes:
            memory = (scratch or partial(Scratch, self.where, stream))(self.scratch_bytes)
        with self.lock:
            self.slots[: len(pointers)] = list(pointers)
            if memory is not None:
                self.scratch.value = memory.data_ptr()
            error = self._enqueue(stream)
        del memory  # used again by what comes later on the stream
        if error:
            raise driver.failure(error, self.where, "launching a kernel")
        return self.take_flag() if self.take_flag else 0

    def _enqueue(self, stream: int) -> Any:
        if self.has_neighbours:
            with self.where.current():
                return self._dispatch(stream)
        error = self._dispatch(stream)
        if error and error.name == "CUDA_ERROR_INVALID_CONTEXT":
            # A thread in which nobody has used CUDA yet.
            with self.where.current():
                return self._dispatch(stream)
        return error

    def _dispatch(self, stream: int) -> Any:
        launch_kernel, block = bindings().cuLaunchKernel, self.block
        for function, groups, arguments in self.calls:
            (error,) = launch_kernel(
                function, groups, 1, 1, block, 1, 1, 0, stream, arguments.address, 0
            )
            if error:
                return error
        return None


@cache
def kernels(ordinal: int, of: CudaBuild) -> dict[str, Any]:
    """The kernels of a build on a device, loaded once per process."""
    where, api = device(ordinal), bindings()
    image = build.image_for(of, where.capability)
    with where.without_capture():
        module = check(api.cuModuleLoadData(image), where, "loading the interpreter")
        names = ("gint_run", "gint_combine")
        return {
            name: check(
                api.cuModuleGetFunction(module, of.kernel(name).encode()), where, f"finding {name}"
            )
            for name in names
        }


class CudaBackend:
    """Programs of 32-bit words run on the build `narrow`, others on `wide`."""

    name = "cuda"
    device = "cuda"
    capabilities = Capabilities()

    def __init__(self, narrow: CudaBuild = build.NARROW, wide: CudaBuild = build.WIDE) -> None:
        self.builds = {32: narrow, 64: wide}

    @cached_property
    def memory(self) -> CudaMemory:
        return CudaMemory()

    row_steps = dense = None

    @property
    def quantized(self) -> QuantizedProducts:
        from .quantized import PRODUCTS

        return PRODUCTS

    def probe(self) -> Probe:
        """Bindings, build, driver, device: the first that is missing is said."""
        if not _is_installed():
            return Probe(
                False,
                "NVIDIA's Python bindings (cuda-bindings) are not installed.",
                built=False,
                remedy="Install them: pip install 'gint[cuda]'.",
            )
        if not build.is_built() and not build.has_nvrtc():
            stale = (
                " for these sources (there is an older build)" if build.has_stale_build() else ""
            )
            return Probe(
                False,
                f"the CUDA interpreter is not built{stale}.",
                built=False,
                command=build.COMMAND,
            )
        if driver.is_running():
            answer = driver.probe_device()
        else:
            answer = probe_in_subprocess(driver.__name__, driver.state())
        if not answer.usable and not build.is_built():
            # NVRTC could build it for a device; without one nothing has been built.
            return replace(answer, built=False)
        return answer

    def load(self, verified: VerifiedProgram) -> CudaKernel:
        return CudaKernel(verified, self.builds)


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:
        return False


BACKEND: Backend = CudaBackend()
