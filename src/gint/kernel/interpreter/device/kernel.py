"""`Kernel.prepare` for devices that have a dispatcher.

A dispatcher is two functions: `build_for(word_bits)`, the build that programs of that width run
with, and `bind(dispatches, build)`, which puts the records where the device sees them and returns a
function of the pointers that launches and returns the error flag. Every binding is
verified before: bounds when it is prepared, what depends on pointers at each call.

What a call is given by name (a stream, say) goes to that function. Knows programs, bindings and
dispatches. Does not know devices or memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from gint.program import Binding, SlotLayout, VerifiedProgram, verify_binding
from gint.program.regions import touched_regions

from .build import Build
from .describe import describe
from .dispatches import DispatchList, TooLargeError, list_dispatches
from .encoder import DeviceProgram, encode, word_bits

#: Ways of sharing memory that one prepared launch remembers.
_MAX_PROVEN = 16

Layouts = tuple[SlotLayout, ...]


class Dispatcher(Protocol):
    """What enqueues dispatches on one device."""

    def build_for(self, word_bits: int) -> Build:
        """The build that programs of 32- or 64-bit words run with."""

    def bind(self, dispatches: DispatchList, build: Build) -> Callable[..., int]:
        """A function of a pointer per slot that launches; the error flag without the list's own."""


class NoDevice:
    """Runs nothing: shows what a device with these builds would run."""

    def __init__(self, builds: Mapping[int, Build] | None = None) -> None:
        self.builds = builds or {32: Build(32), 64: Build(64)}

    def build_for(self, word_bits: int) -> Build:
        return self.builds[word_bits]

    def bind(self, dispatches: DispatchList, build: Build) -> Callable[..., int]:
        return _nothing


class DeviceKernel:
    """A program in the device form, for one device."""

    def __init__(self, verified: VerifiedProgram, dispatcher: Dispatcher) -> None:
        self.verified, self.dispatcher = verified, dispatcher
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
        """Verify a launch and list its dispatches. Raises VerificationError."""
        return DeviceLaunch(self, extents, params, slots)

    def describe(
        self, extents: tuple[int, ...], params: tuple[int | float, ...], slots: Layouts
    ) -> str:
        """The device form of the program and the dispatches of a launch."""
        _verify(self.verified, extents, params, slots)
        found, build = self._dispatches(extents, params, slots)
        return describe(self._encoded[build.word_bits], found, build, extents, params)

    def bind(
        self, extents: tuple[int, ...], params: tuple[int | float, ...], slots: Layouts
    ) -> tuple[Callable[..., int], int]:
        """What launches on verified pointers, and the bits that are in the flag of each launch."""
        found, build = self._dispatches(extents, params, slots)
        if not found.dispatches:
            return _nothing, found.error
        return self.dispatcher.bind(found, build), found.error

    def _dispatches(self, extents, params, slots: Layouts) -> tuple[DispatchList, Build]:
        try:
            return self._dispatches_of(self.word_bits, extents, params, slots)
        except TooLargeError:
            return self._dispatches_of(64, extents, params, slots)

    def _dispatches_of(
        self, bits: int, extents, params, slots: Layouts
    ) -> tuple[DispatchList, Build]:
        build = self.dispatcher.build_for(bits)
        if bits not in self._encoded:
            self._encoded[bits] = encode(self.verified, bits, build.registers)
        return list_dispatches(self._encoded[bits], build, extents, params, slots), build


def _verify(
    verified: VerifiedProgram, extents, params, slots: Layouts, pointers: tuple[int, ...] = ()
) -> None:
    """With pointers far from each other where none are given."""
    pointers = pointers or tuple((n + 1) << 56 for n in range(len(slots)))
    verify_binding(verified, Binding.of(extents, params, slots, pointers))


def _nothing(*pointers: int, **where: Any) -> int:
    return 0


class DeviceLaunch:
    """A launch on a device. Several threads may call it."""

    takes_arrays = False

    def __init__(
        self,
        kernel: DeviceKernel,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: Layouts,
    ) -> None:
        self.verified, self.bound_to = kernel.verified, (extents, params, slots)
        _verify(self.verified, *self.bound_to)
        self.run, self.error = kernel.bind(extents, params, slots)
        self.check = PointerCheck(self.verified, extents, slots)

    def __call__(self, *pointers: int, **where: Any) -> int:
        """Launch on these storages; the error flag."""
        if not self.check.fits(pointers):
            _verify(self.verified, *self.bound_to, pointers)
            self.check.remember(pointers)
        return self.error | self.run(*pointers, **where)


class PointerCheck:
    """Whether pointers surely fit a binding that was verified with others.

    They are if aligned and what the slots cover shares no byte, or shares bytes as it did in a call
    that was verified: the rest of what the verifier asks does not depend on the pointers. Only
    slots that are touched count.
    """

    def __init__(self, verified: VerifiedProgram, extents: tuple[int, ...], slots: Layouts) -> None:
        p = verified.program
        self.touched = [
            (n, region.low, region.high, region.itemsize, p.slots[n].access.writes)
            for n, region in touched_regions(p, extents, slots).items()
        ]
        self.are_aligned, self.are_disjoint = self._written_out(len(slots))
        #: The ways in which slots shared bytes in calls that were verified.
        self.proven: set[tuple] = set()

    def fits(self, pointers: tuple[Any, ...]) -> bool:
        if self.are_disjoint(*pointers):
            return True
        return bool(self.proven) and self.are_aligned(*pointers) and (
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
        are_aligned, are_disjoint = (eval(f"lambda {names}: {text}") for text in texts)
        return are_aligned, are_disjoint

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
