"""`Kernel.prepare` for devices that can run a plan.

A device is given as two functions: `build_for(word_bits)`, the build it runs programs of that width
with, and `ready(plan, build, verified)`, which puts a plan's records where the device sees them and
returns a function of the pointers that launches and returns the error flag. Every binding is
verified before: bounds when it is prepared, what depends on pointers at each call.

What a call is given by name (a stream, say) goes to that function. Knows programs, bindings and
plans. Does not know devices or memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from gint.program import Binding, SlotLayout, VerifiedProgram, verify_binding
from gint.program.overlap import Region

from .build import Build
from .encoder import DeviceProgram, encode, word_bits
from .plan import Plan, TooLargeError, plan

#: Ways of sharing memory that one prepared launch remembers.
_MAX_PROVEN = 16

Layouts = tuple[SlotLayout, ...]


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

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: Layouts,
        *,
        threads: int | None = None,
        device: int | None = None,
    ) -> DeviceLaunch:
        """Verify and plan a launch. Raises VerificationError."""
        return DeviceLaunch(self, extents, params, slots)

    def ready(
        self, extents: tuple[int, ...], params: tuple[int | float, ...], slots: Layouts
    ) -> tuple[Callable[..., int], int]:
        """What launches on verified pointers, and the bits that are in the flag of each launch."""
        try:
            made, build = self._plan(self.word_bits, extents, params, slots)
        except TooLargeError:
            made, build = self._plan(64, extents, params, slots)
        if not made.launches:
            return _nothing, made.error
        return self.device.ready(made, build, self.verified), made.error

    def _plan(self, bits: int, extents, params, slots: Layouts) -> tuple[Plan, Build]:
        build = self.device.build_for(bits)
        if bits not in self._encoded:
            self._encoded[bits] = encode(self.verified, bits, build.registers)
        return plan(self._encoded[bits], build, extents, params, slots), build


def _nothing(*pointers: int, **where: Any) -> int:
    return 0


class DeviceLaunch:
    """A plan on a device. Several threads may call it."""

    takes_arrays = False

    def __init__(
        self,
        kernel: DeviceKernel,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: Layouts,
    ) -> None:
        self.verified, self.bound_to = kernel.verified, (extents, params, slots)
        self._verify(tuple((n + 1) << 56 for n in range(len(slots))))
        self.run, self.error = kernel.ready(extents, params, slots)
        self.fits = PointerCheck(self.verified, extents, slots)

    def __call__(self, *pointers: int, **where: Any) -> int:
        """Launch on these storages; the error flag."""
        if not self.fits(pointers):
            self._verify(pointers)
            self.fits.remember(pointers)
        return self.error | self.run(*pointers, **where)

    def _verify(self, pointers: tuple[int, ...]) -> None:
        verify_binding(self.verified, Binding.of(*self.bound_to, pointers))


class PointerCheck:
    """Whether pointers surely fit a binding that was verified with others.

    They are if aligned and what the slots cover shares no byte, or shares bytes as it did in a call
    that was verified: the rest of what the verifier asks does not depend on the pointers. Only
    slots that are touched count.
    """

    def __init__(self, verified: VerifiedProgram, extents: tuple[int, ...], slots: Layouts) -> None:
        p = verified.program
        self.touched = []
        for n, (slot, (_, offset, strides)) in enumerate(zip(p.slots, slots, strict=True)):
            shape, size = tuple(extents[a] for a in slot.axes), slot.dtype.itemsize
            if n in p.slots_used and 0 not in shape:
                region = Region(offset * size, size, shape, tuple(s * size for s in strides))
                self.touched.append((n, region.low, region.high, size, slot.access.writes))
        self.is_aligned, self.is_disjoint = self._written_out(len(slots))
        #: The ways in which slots shared bytes in calls that were verified.
        self.proven: set[tuple] = set()

    def __call__(self, pointers: tuple[Any, ...]) -> bool:
        if self.is_disjoint(*pointers):
            return True
        return bool(self.proven) and self.is_aligned(*pointers) and (
            self._shared(pointers) in self.proven
        )  # fmt: skip

    def _written_out(self, count: int) -> tuple[Callable[..., bool], Callable[..., bool]]:
        """The tests as expressions, since every launch makes them:

        lambda p0, p1: p0 > 0 and p1 > 0 and not (p0 | p1) & 3 and not -4096 < p1 - p0 < 4096
        """
        names = ", ".join(f"p{n}" for n in range(count))
        aligned = [f"p{n} > 0" for n, *_ in self.touched]
        for size in sorted({size for *_, size, _ in self.touched} - {1}):
            together = " | ".join(f"p{n}" for n, *_, s, _ in self.touched if s == size)
            aligned.append(f"not ({together}) & {size - 1}")
        disjoint = [
            f"not {low - other_high} < p{m} - p{n} < {high - other_low}"
            for n, low, high, m, other_low, other_high in self._pairs()
        ]
        texts = (" and ".join(tests or ["True"]) for tests in (aligned, aligned + disjoint))
        is_aligned, is_disjoint = (eval(f"lambda {names}: {text}") for text in texts)
        return is_aligned, is_disjoint

    def _pairs(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Pairs of slots that must not share bytes: one of them is written."""
        for k, (n, low, high, _, writes) in enumerate(self.touched):
            for m, other_low, other_high, _, other_writes in self.touched[:k]:
                if writes or other_writes:
                    yield n, low, high, m, other_low, other_high

    def remember(self, pointers: tuple[Any, ...]) -> None:
        """These have been verified."""
        if len(self.proven) < _MAX_PROVEN:
            self.proven.add(self._shared(pointers))

    def _shared(self, pointers: tuple[Any, ...]) -> tuple:
        """The slots that share bytes, and how far apart they are."""
        return tuple(
            (n, m, pointers[m] - pointers[n])
            for n, low, high, m, other_low, other_high in self._pairs()
            if low - other_high < pointers[m] - pointers[n] < high - other_low
        )
