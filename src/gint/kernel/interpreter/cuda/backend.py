"""The `cuda` backend: verified programs on NVIDIA GPUs, in the device form they share with opencl.

Knows how a planned launch becomes calls of the driver. Does not know opcodes, torch or CuPy:
pointers, a stream and a way to get scratch memory is all it is given.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections import OrderedDict
from collections.abc import Callable
from functools import cache, cached_property
from threading import Lock
from typing import Any

import numpy as np

from gint.host.backends import Capabilities, Probe
from gint.host.probing import probe_in_subprocess
from gint.isa import Form
from gint.program import Binding, SlotBinding, VerifiedProgram, verify_binding

from ..device.build import Build
from ..device.encoder import DeviceProgram, encode, word_bits
from ..device.plan import Plan, TooLargeError, plan
from . import build, driver
from .dense import matmul
from .driver import Device, bindings, check, device
from .memory import CudaMemory, DeviceArray, Scratch, flag_pointer, flag_reader
from .pointers import PointerCheck

#: Slots of portable/dialect.h's gi_slots.
MAX_SLOTS = 64
#: Prepared launches a kernel keeps for `launch`, which is not told that sizes come again.
_MAX_KEPT = 64

Slots = tuple[tuple[int, int, tuple[int, ...]], ...]


class CudaKernel:
    """A program on the CUDA interpreter; encoded when sizes say how wide its words must be."""

    def __init__(self, verified: VerifiedProgram, builds: dict[int, Build]) -> None:
        self.verified, self.builds = verified, builds
        self.bits = word_bits(verified)
        self._encoded: dict[int, DeviceProgram] = {}
        self._kept: OrderedDict[tuple, Callable[..., int]] = OrderedDict()

    def launch(
        self,
        binding: Binding,
        stream: int | None = None,
        threads: int | None = None,
        device: int | None = None,
    ) -> int:
        """Verify the binding and launch on `stream` of a device (default: NumPy's); does not wait.

        The flag is what launches before this one are known to have left. Raises VerificationError,
        and nothing has been launched then, CudaError and BuildError.
        """
        ordinal = driver.default_ordinal() if device is None else device
        slots = tuple((s.storage_bytes, s.offset, s.strides) for s in binding.slots)
        # 0.0 and -0.0 are equal, and not the same parameter.
        key = (binding.extents, repr(binding.params), slots, ordinal)
        ready = self._kept.pop(key, None)
        if ready is None:
            verify_binding(self.verified, binding)
            ready = self.prepare(binding.extents, binding.params, slots, device=ordinal)
        self._kept[key] = ready
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return ready(*(s.pointer for s in binding.slots), stream=stream or 0)

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: Slots,
        threads: int | None = None,
        device: int | None = None,
    ) -> Callable[..., int]:
        """Everything of a launch but the pointers: (storage bytes, offset, strides) per slot.

        The result takes a pointer per slot, `stream=` and `scratch=`, which gives memory of so many
        bytes for the time of the launch, as an object with a `data_ptr()`.
        """
        check_pointers = PointerCheck(self.verified, extents, params, slots)
        ordinal = driver.default_ordinal() if device is None else device
        build, planned = self._plan(extents, params, slots)
        return Prepared(driver.device(ordinal), build, planned, check_pointers, self.may_fail).launch

    def _plan(self, extents: Any, params: Any, slots: Slots) -> tuple[Build, Plan]:
        try:
            build = self.builds[self.bits]
            return build, plan(self._program(build), build, extents, params, slots)
        except TooLargeError:
            build = self.builds[64]
            return build, plan(self._program(build), build, extents, params, slots)

    def _program(self, build: Build) -> DeviceProgram:
        if build.word_bits not in self._encoded:
            self._encoded[build.word_bits] = encode(
                self.verified, build.word_bits, build.registers
            )
        return self._encoded[build.word_bits]

    @cached_property
    def may_fail(self) -> bool:
        code = (i for section in self.verified.program.sections for i in section.instructions)
        return any(i.op.sets_error for i in code)


class Prepared:
    """The launches of one binding on one device, packed: a call sets pointers and launches.

    The driver copies the arguments while it is called, so that one set of them serves all calls;
    the lock is for threads, because the bindings let go of Python's while they call the driver.
    """

    def __init__(
        self, where: Device, build: Build, planned: Plan, pointers: PointerCheck, may_fail: bool
    ) -> None:
        self.where, self.pointers, self.known_error = where, pointers, planned.error
        self.take_flag = flag_reader(where.ordinal) if may_fail else None
        self.scratch_bytes, self.block = planned.scratch_bytes, build.block
        self.lock = Lock()
        self.slots = (ctypes.c_uint64 * MAX_SLOTS)()
        self.scratch = ctypes.c_uint64()
        self.records: DeviceArray | None = None
        self.calls: list[tuple[Any, int, Any]] = []
        if planned.launches:
            self.records = CudaMemory(where).upload(planned.records)
        for launch in planned.launches:
            arguments = self._arguments(launch.kernel, launch.record_at)
            function = kernels(where.ordinal, build)[launch.kernel]
            self.calls.append((function, launch.groups, arguments))
        #: With one device the context of a thread is right or missing, which the driver says.
        self.has_neighbours = driver.device_count() > 1

    def _arguments(self, kernel: str, record_at: int) -> Any:
        """The addresses of a kernel's arguments, in an array that keeps them alive."""
        assert self.records is not None
        values = [ctypes.c_uint64(self.records.pointer), ctypes.c_uint32(record_at), self.scratch]
        if kernel == "gint_run":
            values += [ctypes.c_uint64(flag_pointer(self.where.ordinal)), self.slots]
        array = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        array.values = values
        return array

    def launch(
        self, *pointers: int, stream: int = 0, scratch: Callable[[int], Any] | None = None
    ) -> int:
        """Launch on the stream; the error flag as far as it is known."""
        if not self.pointers.are_apart(pointers):
            self.pointers.verify(pointers)
        if self.calls:
            memory = None
            if self.scratch_bytes:
                memory = scratch(self.scratch_bytes) if scratch else self._scratch(stream)
            with self.lock:
                self.slots[: len(pointers)] = pointers
                if memory is not None:
                    self.scratch.value = memory.data_ptr()
                error = self._enqueue(stream)
            del memory  # used again by what comes later on the stream
            if error:
                raise driver.failure(error, self.where, "launching a kernel")
        if self.take_flag is None:
            return self.known_error
        return self.known_error | self.take_flag()

    def _enqueue(self, stream: int) -> Any:
        if self.has_neighbours:
            with self.where.current():
                return self._launch_all(stream)
        error = self._launch_all(stream)
        if error and error.name == "CUDA_ERROR_INVALID_CONTEXT":
            # A thread in which nobody has used CUDA yet.
            with self.where.current():
                return self._launch_all(stream)
        return error

    def _launch_all(self, stream: int) -> Any:
        launch_kernel, block = bindings().cuLaunchKernel, self.block
        for function, groups, arguments in self.calls:
            (error,) = launch_kernel(
                function, groups, 1, 1, block, 1, 1, 0, stream, ctypes.addressof(arguments), 0
            )
            if error:
                return error
        return None

    def _scratch(self, stream: int) -> Scratch:
        return Scratch(self.where, self.scratch_bytes, stream)


@cache
def kernels(ordinal: int, of: Build) -> dict[str, Any]:
    """The kernels of a build on a device, loaded once per process."""
    where, api = device(ordinal), bindings()
    image = build.image_for(of, where.capability)
    with where.current():
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
    capabilities = Capabilities(max_slots=MAX_SLOTS)
    matmul = staticmethod(matmul)

    def __init__(self, narrow: Build = build.NARROW, wide: Build = build.WIDE) -> None:
        self.builds = {32: narrow, 64: wide}

    @cached_property
    def memory(self) -> CudaMemory:
        return CudaMemory()

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
            stale = " for these sources (there is an older build)" if build.has_stale_build() else ""
            return Probe(
                False,
                f"the CUDA interpreter is not built{stale}.",
                built=False,
                remedy="Build it: python setup.py build_cuda.",
            )
        if driver.is_running():
            return driver.probe_device()
        return probe_in_subprocess(driver.__name__, driver.state())

    def load(self, verified: VerifiedProgram) -> CudaKernel:
        return CudaKernel(verified, self.builds)


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:
        return False


BACKEND = CudaBackend()
