"""`Kernel.launch` and `Kernel.prepare` for devices that can run a plan.

A device is given as two functions: `build_for(word_bits)`, the build it runs programs of that width
with, and `ready(plan, build, verified)`, which puts a plan's records where the device sees them and
returns a function of the pointers that launches and returns the error flag. Every binding is
verified before: bounds once per preparation, what depends on pointers at each call.

Knows programs, bindings and plans. Does not know devices or memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gint.program import Binding, SlotBinding, VerifiedProgram, verify_binding

from .build import Build
from .encoder import DeviceProgram, encode, word_bits
from .plan import Plan, TooLargeError, plan

Slots = tuple[tuple[int, int, tuple[int, ...]], ...]


class Device(Protocol):
    """What runs plans."""

    def build_for(self, word_bits: int) -> Build:
        """The build that programs of 32- or 64-bit words run with."""

    def ready(self, made: Plan, build: Build, verified: VerifiedProgram) -> Callable[..., int]:
        """A function of one pointer per slot that launches; the error flag without `Plan.error`."""


class DeviceKernel:
    """A program in the device form, for one device."""

    def __init__(self, verified: VerifiedProgram, device: Device) -> None:
        self.verified, self.device = verified, device
        self.word_bits = word_bits(verified)
        self._encoded: dict[int, DeviceProgram] = {}

    def launch(
        self, binding: Binding, stream: int | None = None, threads: int | None = None
    ) -> int:
        """Verify the binding and run; the error flag. Raises VerificationError."""
        verify_binding(self.verified, binding)
        slots = tuple((s.storage_bytes, s.offset, s.strides) for s in binding.slots)
        run, error = self._ready(binding.extents, binding.params, slots)
        return error | run(*(s.pointer for s in binding.slots))

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: Slots,
        threads: int | None = None,
    ) -> Callable[..., int]:
        """A launch of everything but the pointers. Both raise VerificationError."""
        self._verify(extents, params, slots, tuple((n + 1) << 56 for n in range(len(slots))))
        run, error = self._ready(extents, params, slots)
        apart = Apart(self.verified, extents, slots)

        def launch(*pointers: int) -> int:
            if not apart(pointers):
                self._verify(extents, params, slots, pointers)
            return error | run(*pointers)

        return launch

    def _verify(self, extents, params, slots: Slots, pointers: tuple[int, ...]) -> None:
        bound = (SlotBinding(p, *s) for p, s in zip(pointers, slots, strict=True))
        verify_binding(self.verified, Binding(extents, params, tuple(bound)))

    def _ready(self, extents, params, slots: Slots) -> tuple[Callable[..., int], int]:
        try:
            made, build = self._plan(self.word_bits, extents, params, slots)
        except TooLargeError:
            made, build = self._plan(64, extents, params, slots)
        if not made.launches:
            return _nothing, made.error
        return self.device.ready(made, build, self.verified), made.error

    def _plan(self, bits: int, extents, params, slots: Slots) -> tuple[Plan, Build]:
        build = self.device.build_for(bits)
        if bits not in self._encoded:
            self._encoded[bits] = encode(self.verified, bits, build.registers)
        return plan(self._encoded[bits], build, extents, params, slots), build


def _nothing(*pointers: int) -> int:
    return 0


class Apart:
    """Whether pointers are surely fit for a binding that was verified with others.

    They are if aligned and the storages share no byte: what else the verifier asks does not depend
    on the pointers. Only slots that are touched count.
    """

    def __init__(self, verified: VerifiedProgram, extents: tuple[int, ...], slots: Slots) -> None:
        p = verified.program
        self.touched = [
            (n, slots[n][0], slot.dtype.itemsize, slot.access.writes)
            for n, slot in enumerate(p.slots)
            if n in p.slots_used and not any(extents[a] == 0 for a in slot.axes)
        ]

    def __call__(self, pointers: tuple[Any, ...]) -> bool:
        spans = []
        for n, size, itemsize, writes in self.touched:
            pointer = pointers[n]
            if pointer <= 0 or pointer % itemsize:
                return False
            spans.append((pointer, pointer + size, writes))
        spans.sort()
        # Read-only storages may share bytes; a written one must begin after all before it end.
        end_of_all = end_of_written = 0
        for start, end, writes in spans:
            if start < (end_of_all if writes else end_of_written):
                return False
            end_of_all = max(end_of_all, end)
            if writes:
                end_of_written = max(end_of_written, end)
        return True
