"""The `cpp` backend: verified programs on the native interpreter.

Knows how to hand a program and a binding to `_native`. Does not know opcodes or tensors.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gint.backend.protocol import (
    Backend,
    BoundLaunch,
    Capabilities,
    DenseProducts,
    Probe,
    RowSteps,
)
from gint.isa.generate import checksum
from gint.native.loader import BUILD_COMMAND, NativeMissingError, load_native
from gint.program import (
    AxisKind,
    Binding,
    SlotLayout,
    VerificationError,
    VerifiedProgram,
    verify_binding,
)

if TYPE_CHECKING:
    from gint.quantized import QuantizedProducts

try:
    _native: Any = load_native()
except NativeMissingError as error:
    _native = None
    _MISSING = Probe(
        False, error.reason, built=error.built, remedy=error.remedy,
        command="" if error.remedy else BUILD_COMMAND,
    )  # fmt: skip


#: Names one of the instruction sets that are built in, for tests and comparisons.
_SET = "GINT_CPP_ISA"


def _why_no_set(sets: list[tuple[str, bool]], named: str | None) -> str:
    if named:
        usable = ", ".join(name for name, is_usable in sets if is_usable) or "none"
        return f"{_SET} names {named!r}; built in, and of this CPU: {usable}"
    built = ", ".join(name for name, _ in sets)
    return f"this CPU has none of the instruction sets built in: {built}"


class CppKernel:
    """A program on the C++ interpreter.

    The binding is verified in native code. Only what fails there is verified again here, for the
    sentence that says why.
    """

    def __init__(self, verified: VerifiedProgram) -> None:
        self.verified = verified
        self._kernel = _native.Kernel(*_facts(verified))

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
        *,
        threads: int | None = None,
        device: int | None = None,
    ) -> BoundLaunch:
        """A launch on up to `threads` threads, None for OpenMP's own number."""

        def explain(*pointers: int) -> None:
            binding = Binding.of(extents, params, slots, pointers)
            verify_binding(self.verified, binding)
            raise VerificationError(f"The extents {extents} are too many points to visit.")

        ready = self._kernel.prepare(extents, params, slots, threads, explain)
        if ready is None:
            explain(*((n + 1) << 56 for n in range(len(slots))))  # far from each other, and aligned
        return ready

    def describe(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
    ) -> str:
        """Layout, tile and steps of a launch whose slots share no element."""
        p = self.verified.program
        names = [[named.name for named in group] for group in (p.axes, p.slots, p.params)]
        text = self._kernel.describe(extents, params, slots, *names)
        if text is None:
            self.prepare(extents, params, slots)  # says why it is refused
        return text


def _facts(verified: VerifiedProgram) -> tuple:
    p = verified.program
    types = bytearray(p.register_count)
    for register, dtype in verified.types.items():
        types[register] = dtype.code
    return (
        [axis.kind is AxisKind.REDUCED for axis in p.axes],
        list(p.indexed_axes),
        [(s.dtype.code, s.access.reads, s.access.writes, list(s.axes)) for s in p.slots],
        [param.dtype.code for param in p.params],
        [(s.kind.code, len(s.instructions)) for s in p.sections],
        p.encode(),
        bytes(types),
    )


class CppBackend:
    name = "cpp"
    device = "cpu"
    capabilities = Capabilities()
    memory = None

    def probe(self) -> Probe:
        if _native is None:
            return _MISSING
        if getattr(_native, "table_checksum", None) != checksum():
            return Probe(
                False,
                "the native module was built from another instruction table.",
                command=BUILD_COMMAND,
            )
        isa = _native.instruction_set()
        if isa is None:
            return Probe(False, _why_no_set(_native.instruction_sets(), os.environ.get(_SET)))
        threads = _native.default_threads()
        return Probe(True, f"instruction set {isa}", f"{isa}, {threads} threads")

    @cached_property
    def quantized(self) -> QuantizedProducts | None:
        if _native is None:
            return None
        from .quantized import CppProducts

        return CppProducts()

    @cached_property
    def row_steps(self) -> RowSteps | None:
        if _native is None:
            return None
        from .row_steps import CppRowSteps

        return CppRowSteps()

    @cached_property
    def dense(self) -> DenseProducts | None:
        if _native is None:
            return None
        from .dense import CppDense

        return CppDense()

    def load(self, verified: VerifiedProgram) -> CppKernel:
        return CppKernel(verified)


BACKEND: Backend = CppBackend()
