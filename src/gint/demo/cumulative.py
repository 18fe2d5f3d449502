"""Cumulative time over the number of calls, and where two backends cross.

After n calls a backend has cost `first + (n - 1) * steady` seconds. Knows these two numbers,
nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from gint.dataclass import frozen

HORIZON_CALLS = 10_000_000
LEVEL = 0.05  # closer than this is noise


@frozen
class Line:
    """One backend's cost: seconds of the first call, seconds of each call after it."""

    name: str
    first_s: float
    steady_s: float

    def after(self, calls: float) -> float:
        """Return the seconds spent once `calls` calls (at least 1) are done."""
        return self.first_s + (calls - 1) * self.steady_s


@frozen
class Crossing:
    """From `calls` calls on, `later` has cost no more than `earlier`, which cost less before."""

    earlier: Line
    later: Line
    calls: int

    @property
    def at_s(self) -> float:
        """Return the seconds both have spent there."""
        return self.later.after(self.calls)


def crossing(a: Line, b: Line) -> Crossing | None:
    """Return where the two cross, or None where the lower stays lower or they run level."""
    if level(a, b):
        return None
    earlier, later = (a, b) if a.first_s <= b.first_s else (b, a)
    gain_s = earlier.steady_s - later.steady_s
    if gain_s <= 0:
        return None
    calls = 1 + math.ceil((later.first_s - earlier.first_s) / gain_s)
    return Crossing(earlier, later, calls) if calls <= HORIZON_CALLS else None


def level(a: Line, b: Line) -> bool:
    """Return whether the two are within `LEVEL` of each other, first call and others."""
    pairs = ((a.first_s, b.first_s), (a.steady_s, b.steady_s))
    return all(max(pair) <= (1 + LEVEL) * min(pair) for pair in pairs)


def crossings(lines: Sequence[Line]) -> list[Crossing]:
    """Return every crossing of two of the lines, the earliest first."""
    found = [c for a, b in combinations(lines, 2) if (c := crossing(a, b))]
    return sorted(found, key=lambda c: c.calls)


def in_words(a: Line, b: Line) -> str:
    """Say in one sentence whether and where the two cross."""
    if level(a, b):
        return f"{a.name} and {b.name} stay within {LEVEL:.0%} of each other."
    earlier, later = (a, b) if a.first_s <= b.first_s else (b, a)
    found = crossing(a, b)
    if found is None:
        return f"{earlier.name} starts ahead of {later.name} and stays ahead."
    return (
        f"{earlier.name} starts ahead of {later.name}; {later.name} has caught up after "
        f"{found.calls:,} calls, {duration(found.at_s)} in."
    )


def duration(seconds: float) -> str:
    """Return a duration with three digits and a fitting unit: "4.2 ms", "2.5 hours"."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} minutes"
    return f"{seconds / 3600:.3g} hours"
