"""The `python` backend: NumPy on the host, always usable."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from gint.backend.machine import ASKED_BYTES, need_memory
from gint.backend.protocol import Backend, Capabilities, Probe
from gint.dataclass import frozen
from gint.program import Binding, SlotLayout, VerifiedProgram, verify_binding
from gint.program.facts import has_effects

from .interpreter import last_reads, most_held, run, run_uniforms

if TYPE_CHECKING:
    from gint.quantized import QuantizedProducts


#: Of a register's element, at most.
_ELEMENT_BYTES = 8


class NumpyKernel:
    """A program on the NumPy interpreter."""

    def __init__(self, verified: VerifiedProgram) -> None:
        self.verified = verified
        self.unused = last_reads(verified.program)
        self.bytes_of_point = _ELEMENT_BYTES * (len(verified.types) + 1)

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
        *,
        threads: int | None = None,
        device: int | None = None,
    ) -> NumpyLaunch:
        """A launch, always on one thread; all of it is verified when it is called, and a large one
        here, as far as pointers do not matter. Raises VerificationError, and MemoryError where its
        registers take more memory than is left."""
        runs = has_effects(self.verified.program, extents)
        most = math.prod([max(n, 1) for n in extents]) * self.bytes_of_point
        if runs and most > ASKED_BYTES:
            far_apart = tuple([(n + 1) << 48 for n in range(len(slots))])
            verify_binding(self.verified, Binding.of(extents, params, slots, far_apart))
            nbytes = most_held(self.verified, extents, self.unused)
            name = self.verified.program.name
            need_memory(nbytes, f"{name}, whose registers are whole arrays,")
        return NumpyLaunch(self, extents, params, slots, runs)

    def describe(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
    ) -> str:
        """The sections in their order: nothing depends on the layout."""
        kinds = ", ".join(section.kind.value for section in self.verified.program.sections)
        return f"runs section by section, each on whole arrays: {kinds}\n"


@frozen
class NumpyLaunch:
    """What a kernel was prepared for."""

    kernel: NumpyKernel
    extents: tuple[int, ...]
    params: tuple[int | float, ...]
    slots: tuple[SlotLayout, ...]
    runs: bool
    takes_arrays: ClassVar[bool] = False

    def __call__(self, *pointers: int) -> int:
        """Verify the binding and run; the error flag."""
        binding = Binding.of(self.extents, self.params, self.slots, pointers)
        verify_binding(self.kernel.verified, binding)
        if not self.runs:
            program = self.kernel.verified.program
            return run_uniforms(program, program.uniforms.values(), self.extents, self.params)[1]
        return run(self.kernel.verified, binding, self.kernel.unused)


class NumpyBackend:
    name = "python"
    device = "cpu"
    capabilities = Capabilities()
    memory = row_steps = dense = None

    def probe(self) -> Probe:
        import numpy

        return Probe(True, f"NumPy {numpy.__version__}", "NumPy on the host")

    @cached_property
    def quantized(self) -> QuantizedProducts:
        from .quantized import NumpyProducts

        return NumpyProducts()

    def load(self, verified: VerifiedProgram) -> NumpyKernel:
        return NumpyKernel(verified)


BACKEND: Backend = NumpyBackend()
