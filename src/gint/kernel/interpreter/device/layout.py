"""How a binding's points are dealt to threads: merged axes, the lane axis, the shape of groups.

    outer axes   rows. The parallel axes of a program with reduced axes
    inner axes   points of a row, which the threads of a row share. The reduced axes
    lane axis    the one along which neighbouring threads have neighbouring points: the fastest of
                 most bytes, so that their accesses fall into the same cache lines

Where the program has a scan a row has one thread, whose elements then follow one another.

A program without reduced axes may take any split: its lane axis is the inner one if it is long
enough for a thread's elements, else the outer one. Axes that every slot steps through in one
stride are merged first; those of length 1 are left out.

Everything is a function of the extents and strides alone, never of the device or its load, so that
a launch gives the same bits each time. Knows strides and extents. Does not know opcodes, codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gint.dataclass import frozen
from gint.program.axes import StridedAxis, merge_axes

from .build import Build

#: Neighbouring threads that read one stretch of memory: the width of a warp.
WARP = 32


@frozen
class Layout:
    """`outer` and `inner` axes, the fastest first; `lane` is the program axis lanes run along.
    There is at least one inner axis, if only of length 1.

    A group has 2**log_rows rows and 2**log_lanes threads for each.
    """

    outer: tuple[StridedAxis, ...]
    inner: tuple[StridedAxis, ...]
    lane: int | None
    rows_fastest: bool
    log_rows: int
    log_lanes: int

    @property
    def axes(self) -> tuple[StridedAxis, ...]:
        return self.outer + self.inner

    @property
    def rows(self) -> int:
        return prod(axis.extent for axis in self.outer)

    @property
    def points(self) -> int:
        return prod(axis.extent for axis in self.inner)

    def tiles(self, build: Build) -> int:
        return -(-self.points // (build.elements << self.log_lanes))

    @property
    def groups(self) -> int:
        return -(-self.rows >> self.log_rows) if self.rows else 0


def arrange(
    axes: Sequence[StridedAxis],
    reduced: frozenset[int],
    fixed: frozenset[int],
    sizes: Sequence[int],
    build: Build,
    has_scan: bool = False,
) -> Layout:
    """The layout of a launch over `axes`, one per axis of the program, steps in bytes.

    `reduced` are the numbers of the reduced axes, `fixed` of those whose position is read, `sizes`
    the bytes of an element of each slot, `has_scan` whether the program has one.
    """
    has_reduced = bool(reduced)
    parallel = merge_axes([a for a in axes if a.sources[0] not in reduced], fixed)
    inner = merge_axes([a for a in axes if a.sources[0] in reduced], fixed)
    lane = _lane(parallel + inner, sizes)
    if not has_reduced:
        if lane is None:
            parallel, inner = [], parallel
        elif lane.extent >= WARP * build.elements or len(parallel) == 1:
            parallel, inner = [a for a in parallel if a is not lane], [lane]
        else:
            parallel, inner = [lane], [a for a in parallel if a is not lane]
    rows_fastest = lane is not None and any(a is lane for a in parallel)
    outer, inner = _lane_first(parallel, lane), _lane_first(inner, lane)
    inner = inner or [StridedAxis(1, (0,) * len(sizes), ())]
    lanes = 1 if has_scan else _lanes(outer, inner, rows_fastest, has_reduced, build)
    source = lane.sources[-1] if lane is not None else None
    log_lanes = lanes.bit_length() - 1
    log_rows = (build.block // lanes).bit_length() - 1
    return Layout(tuple(outer), tuple(inner), source, rows_fastest, log_rows, log_lanes)


def _lane(axes: list[StridedAxis], sizes: Sequence[int]) -> StridedAxis | None:
    """The axis that is the fastest of the slots with most bytes; of equals the later."""
    votes: dict[int, int] = {}
    for n, size in enumerate(sizes):
        along = [k for k, a in enumerate(axes) if a.steps[n]]
        if along:
            fastest = min(along, key=lambda k: (abs(axes[k].steps[n]), -k))
            count = prod(axes[k].extent for k in along)
            votes[fastest] = votes.get(fastest, 0) + count * size
    if not votes:
        return None
    return axes[max(votes, key=lambda k: (votes[k], k))]


def _lane_first(axes: list[StridedAxis], lane: StridedAxis | None) -> list[StridedAxis]:
    """The fastest first, the lane axis before all."""
    fastest_first = axes[::-1]
    return sorted(fastest_first, key=lambda a: a is not lane)


def _lanes(
    outer: list[StridedAxis],
    inner: list[StridedAxis],
    rows_fastest: bool,
    has_reduced: bool,
    build: Build,
) -> int:
    """Threads that share a row: as many as its points keep busy, rows permitting."""
    rows = prod(a.extent for a in outer)
    busy = _power_of_two(-(-prod(a.extent for a in inner) // build.elements))
    if not rows_fastest:
        return min(build.block, busy)
    side_by_side = _power_of_two(min(rows, WARP) if has_reduced else outer[0].extent)
    side_by_side = min(build.block, side_by_side)
    return min(build.block // side_by_side, busy)


def _power_of_two(n: int) -> int:
    """The smallest power of two that is at least n and 1."""
    return 1 << max(0, n - 1).bit_length()
