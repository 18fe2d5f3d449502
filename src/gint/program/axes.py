"""Axes of a launch: those of a program, or several that are walked as one."""

from __future__ import annotations

from collections.abc import Iterable

from gint.dataclass import frozen


@frozen
class StridedAxis:
    """One axis of a launch: its length, a step per slot, and the program's axes it stands for.

    Steps count bytes or elements, as whoever makes the axes has them.
    """

    extent: int
    steps: tuple[int, ...]
    sources: tuple[int, ...]


def merge_axes(
    axes: Iterable[StridedAxis], fixed: frozenset[int] = frozenset()
) -> list[StridedAxis]:
    """The axes of length other than 1, slowest first by the slot that steps along most.

    Neighbours that every slot steps through in one stride become one axis, unless one of their
    sources is in `fixed` (positions along it are read, say).
    """
    moving = [a for a in axes if a.extent != 1]
    if not moving:
        return []
    slots = range(len(moving[0].steps))
    leading = max(slots, key=lambda n: sum(a.steps[n] != 0 for a in moving), default=None)
    if leading is not None:
        moving.sort(key=lambda a: -abs(a.steps[leading]))
    merged = moving[:1]
    for axis in moving[1:]:
        slow = merged[-1]
        if _continues(slow, axis, fixed):
            sources = (*slow.sources, *axis.sources)
            merged[-1] = StridedAxis(slow.extent * axis.extent, axis.steps, sources)
        else:
            merged.append(axis)
    return merged


def _continues(slow: StridedAxis, fast: StridedAxis, fixed: frozenset[int]) -> bool:
    if fixed & {*slow.sources, *fast.sources} or 0 in (slow.extent, fast.extent):
        return False
    return all(s == f * fast.extent for s, f in zip(slow.steps, fast.steps, strict=True))
