"""Regions of memory that strided slots cover, and whether they can share an element."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """The elements at start + sum(position * step), all in bytes; no extent may be 0."""

    start: int
    itemsize: int
    extents: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def low(self) -> int:
        return self.start + sum(min(0, (e - 1) * s) for e, s in self._moving())

    @property
    def high(self) -> int:
        """One past the last byte."""
        return self.start + sum(max(0, (e - 1) * s) for e, s in self._moving()) + self.itemsize

    @property
    def steps_in_elements(self) -> tuple[int, ...]:
        return tuple(s // self.itemsize for s in self.steps)

    def _moving(self) -> list[tuple[int, int]]:
        return [(e, s) for e, s in zip(self.extents, self.steps, strict=True) if e > 1]


def overlaps_itself(region: Region) -> bool:
    """Whether two positions may share a byte.

    Exact for nested strides (each step at least the span of all smaller ones), which is what
    tensors have; other layouts count as overlapping.
    """
    span = region.itemsize
    for extent, step in sorted(region._moving(), key=lambda pair: abs(pair[1])):
        if abs(step) < span:
            return True
        span = abs(step) * (extent - 1) + span
    return False


def disjoint(a: Region, b: Region) -> bool:
    """Whether the two surely share no byte: apart, or interleaved with a common step."""
    if a.high <= b.low or b.high <= a.low:
        return True
    steps = {abs(s) for r in (a, b) for _, s in r._moving()} - {0}
    return any(_disjoint_modulo(a, b, step) for step in steps)


def _disjoint_modulo(a: Region, b: Region, step: int) -> bool:
    """Both seen modulo `step`: do the windows they fill leave each other free?"""
    (low_a, span_a), (low_b, span_b) = _window(a, step), _window(b, step)
    gap = (low_b - low_a) % step
    return span_a <= gap and gap + span_b <= step


def _window(region: Region, step: int) -> tuple[int, int]:
    """Start and length of the range covered once multiples of `step` are taken away."""
    low, high = region.start, region.start + region.itemsize
    for extent, s in region._moving():
        if s % step:
            low, high = low + min(0, (extent - 1) * s), high + max(0, (extent - 1) * s)
    return low, high - low
