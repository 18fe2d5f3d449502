"""Regions of memory that strided slots cover: their span, and whether two share an element.

The one rule in Python; program/regions.cpp is its twin in C++.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import prod

from gint.dataclass import frozen

from .model import Program, Slot


def span(extents: Sequence[int], steps: Sequence[int], size: int = 1) -> tuple[int, int]:
    """How far before the first element the lowest begins, and from there to the highest's end.

    Both in the unit of `steps`, in which an element has `size`: elements, or bytes with an
    itemsize. (0, 0) where there is no element.
    """
    if 0 in extents:
        return 0, 0
    back, ahead = 0, size
    for extent, step in zip(extents, steps, strict=True):
        reach = (extent - 1) * step
        if reach < 0:
            back -= reach
        else:
            ahead += reach
    return back, back + ahead


@frozen
class Region:
    """The elements at start + sum(position * step), all in bytes."""

    start: int
    itemsize: int
    extents: tuple[int, ...]
    steps: tuple[int, ...]

    @cached_property
    def _span(self) -> tuple[int, int]:
        return span(self.extents, self.steps, self.itemsize)

    @property
    def low(self) -> int:
        return self.start - self._span[0]

    @property
    def high(self) -> int:
        """One past the last byte."""
        return self.low + self._span[1]

    @property
    def is_dense(self) -> bool:
        """Whether a region that does not overlap itself has no byte between its elements."""
        return self._span[1] == prod(self.extents) * self.itemsize

    @property
    def steps_in_elements(self) -> tuple[int, ...]:
        return tuple(s // self.itemsize for s in self.steps)

    def moving(self) -> list[tuple[int, int]]:
        """Extent and step of the axes along which there is more than one position."""
        return [(e, s) for e, s in zip(self.extents, self.steps, strict=True) if e > 1]


def slot_region(
    slot: Slot, extents: Sequence[int], offset: int, strides: Sequence[int], pointer: int = 0
) -> Region:
    """What a slot covers under the extents of a program's axes, from its storage's `pointer` on.

    `offset` and `strides` (one per axis of the slot) count elements.
    """
    size = slot.dtype.itemsize
    lengths = tuple(extents[axis] for axis in slot.axes)
    return Region(pointer + offset * size, size, lengths, tuple(s * size for s in strides))


def touched_regions(
    program: Program, extents: Sequence[int], slots: Iterable[tuple[int, int, tuple[int, ...]]]
) -> dict[int, Region]:
    """Slot number -> what some point of a launch reads or writes there, from the storage's start.

    `slots` as `Kernel.prepare` has them: storage bytes, offset, strides. Slots that are not used,
    and those of which no point has an element, are left out.
    """
    found = {}
    for n, (slot, (_, offset, strides)) in enumerate(zip(program.slots, slots, strict=True)):
        region = slot_region(slot, extents, offset, strides)
        if n in program.slots_used and 0 not in region.extents:
            found[n] = region
    return found


def overlaps_itself(region: Region) -> bool:
    """Whether two positions may share a byte.

    Exact for nested strides (each step at least the span of all smaller ones), which is what
    tensors have; other layouts count as overlapping.
    """
    if 0 in region.extents:
        return False
    reached = region.itemsize
    for extent, step in sorted(region.moving(), key=lambda pair: abs(pair[1])):
        if abs(step) < reached:
            return True
        reached += abs(step) * (extent - 1)
    return False


def disjoint(a: Region, b: Region) -> bool:
    """Whether the two surely share no byte: apart, or interleaved with a common step."""
    if a.high <= b.low or b.high <= a.low:
        return True
    steps = {abs(s) for r in (a, b) for _, s in r.moving()} - {0}
    return any(_disjoint_modulo(a, b, step) for step in steps)


def _disjoint_modulo(a: Region, b: Region, step: int) -> bool:
    """Both seen modulo `step`: do the windows they fill leave each other free?"""
    (low_a, length_a), (low_b, length_b) = _window(a, step), _window(b, step)
    gap = (low_b - low_a) % step
    return length_a <= gap and gap + length_b <= step


def _window(region: Region, step: int) -> tuple[int, int]:
    """Start and length of the range covered once multiples of `step` are taken away."""
    axes = [(extent, s) for extent, s in region.moving() if s % step]
    back, length = span([e for e, _ in axes], [s for _, s in axes], region.itemsize)
    return region.start - back, length
