"""Index maps: where in a value a program stands, as an affine function of its axes.

A value of rank n is computed *at* a map of n indices. A view of a value that is only being
computed is followed by changing the map; at memory that exists a map becomes strides. An index may
also be a value that the program computes: then memory is read by a gather.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .sizes import Key


class SplitNeededError(Exception):
    """An axis must be split in two, the inner part `inner` long, for a map to be affine."""

    def __init__(self, axis: int, inner: int) -> None:
        super().__init__(f"axis {axis} at {inner}")
        self.axis, self.inner = axis, inner


class ReversalNeededError(Exception):
    """Positions along an axis must be counted from the end, for a scan that goes that way."""

    def __init__(self, axis: int) -> None:
        super().__init__(f"axis {axis} from its end")
        self.axis = axis


class NotAffineError(Exception):
    """A computed index where only an affine one is understood."""


class Index(NamedTuple):
    """offset + sum(coefficient * position along axis); terms are (axis, coefficient).

    Or, with nothing else, `computed`: a recorded i64 value (a Node of gint.host.schedule); then
    `outside` is the number that stands for what lies outside, or None where that is an error.
    """

    offset: Key = 0
    terms: tuple[tuple[int, Key], ...] = ()
    computed: Any = None
    outside: Any = None

    def scaled(self, step: Key, start: Key) -> Index:
        """Raises NotAffineError."""
        if self.computed is not None:
            raise NotAffineError
        return Index(start + step * self.offset, tuple((a, c * step) for a, c in self.terms))

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(a for a, _ in self.terms)


FIXED = Index()
Map = tuple[Index, ...]


def along(axis: int) -> Index:
    return Index(0, ((axis, 1),))


def address(m: Map, strides: Sequence[Key]) -> tuple[Key, dict[int, Key]]:
    """Offset, and stride per axis, of the element a map points at in memory with these strides,
    computed indices left out."""
    offset: Key = 0
    steps: dict[int, Key] = {}
    for index, stride in zip(m, strides, strict=True):
        offset = offset + index.offset * stride
        for axis, coefficient in index.terms:
            steps[axis] = steps.get(axis, 0) + coefficient * stride
    return offset, steps


def combine(indices: Sequence[Index], sizes: Sequence[Key]) -> Index:
    """The row-major position in dimensions of these sizes. Raises NotAffineError."""
    if any(index.computed is not None for index in indices):
        raise NotAffineError
    offset: Key = 0
    terms: list[tuple[int, Key]] = []
    weight: Key = 1
    for index, size in zip(reversed(indices), reversed(sizes), strict=True):
        offset = offset + index.offset * weight
        terms += [(a, c * weight) for a, c in index.terms]
        weight = weight * size
    return Index(offset, tuple(sorted(terms)))


def separate(index: Index, sizes: Sequence[int], extents: Sequence[Key]) -> list[Index] | None:
    """The inverse of `combine`: indices into dimensions of these sizes, or None.

    Raises SplitNeededError where an axis runs across a boundary and can be split at it.
    """
    falling = [a for a, c in index.terms if isinstance(c, int) and c < 0]
    if falling:
        if not all(isinstance(extents[a], int) for a in falling):
            return None
        found = separate(_reflected(index, falling, extents), sizes, extents)
        return found and [_reflected(i, falling, extents) for i in found]
    rest: list[tuple[int, Key]] = list(index.terms)
    if not all(isinstance(v, int) for v in (index.offset, *sizes, *(c for _, c in rest))):
        return None
    if 0 in sizes:
        return None  # no position at all
    result: list[Index] = []
    offset, weight = index.offset, 1
    for size in reversed(sizes):
        inner = weight * size
        here = [(a, c // weight) for a, c in rest if c % weight == 0 and abs(c) < inner]
        rest = [(a, c) for a, c in rest if not (c % weight == 0 and abs(c) < inner)]
        start, offset = offset % size, offset // size
        low = high = start
        for axis, coefficient in here:
            extent, step = extents[axis], abs(coefficient)
            if not isinstance(extent, int):
                return None
            if step * extent > size:
                if size % step == 0 and extent % (size // step) == 0:
                    raise SplitNeededError(axis, size // step)
                return None
            reach = coefficient * (extent - 1)
            low, high = low + min(reach, 0), high + max(reach, 0)
        if low < 0 or high >= size:
            return None
        result.append(Index(start, tuple(here)))
        weight = inner
    return result[::-1] if not rest and not offset else None


def _reflected(index: Index, axes: list[int], extents: Sequence[Key]) -> Index:
    """The same positions with these axes counted from their ends."""
    offset = index.offset
    for axis, coefficient in index.terms:
        if axis in axes:
            offset = offset + coefficient * (extents[axis] - 1)
    return Index(offset, tuple((a, -c if a in axes else c) for a, c in index.terms))


def reshape(
    m: Map, after: Sequence[Key], before: Sequence[Key], extents: Sequence[Key]
) -> Map | None:
    """The map of a value of shape `before` for the map `m` of its reshape to `after`, or None.

    Raises NotAffineError.
    """
    if 0 in before:
        return None  # no position to find
    result: list[Index] = []
    i = j = 0
    while i < len(before) or j < len(after):
        first_i, first_j = i, j
        have, want = 1, 1
        if i < len(before) and j < len(after) and before[i] == after[j]:
            i, j = i + 1, j + 1
            result.append(m[first_j])
            continue
        while have != want or (i == first_i and j == first_j):
            grow_before = j >= len(after) or (i < len(before) and _less(have, want))
            if grow_before:
                if i >= len(before):
                    return None
                have, i = have * before[i], i + 1
            else:
                want, j = want * after[j], j + 1
        position = combine(m[first_j:j], after[first_j:j])
        group = before[first_i:i]
        found = [position] if len(group) == 1 else separate(position, group, extents)
        if found is None:
            return None
        result += found
    return tuple(result)


def _less(have: Key, want: Key) -> bool:
    """Whether the product so far on the left is the smaller one; symbols count as large."""
    if isinstance(have, int) and isinstance(want, int):
        return have < want or (have == want and have == 1)
    return isinstance(have, int)


def axes_of(indices: Iterable[Index]) -> list[int]:
    return [a for index in indices for a in index.axes]
