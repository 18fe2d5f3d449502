"""Interleaved timing: contenders take turns, so that a drift meets all of them alike.

Knows a clock and functions. Does not know torch. There are no absolute thresholds: only medians,
and ratios of them.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Clock = Callable[[], float]
Call = Callable[[], Any]


@dataclass(frozen=True)
class Effort:
    """How long to look: a sample is a batch of at least `batch_s`; `rounds` of them each.

    A contender that has used `budget_s` stops after `least` samples: slow ones take fewer.
    """

    rounds: int = 15
    batch_s: float = 2e-3
    budget_s: float = 1.0
    least: int = 3
    most_repeats: int = 10_000


@dataclass
class Contender:
    """One function under test, its repeats per sample, and its samples in seconds per call."""

    call: Call
    repeats: int = 1
    spent_s: float = 0.0
    samples_s: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """The median of the samples, seconds per call."""
        return statistics.median(self.samples_s)


def interleave(
    calls: Mapping[str, Call], effort: Effort, clock: Clock = time.perf_counter
) -> dict[str, Contender]:
    """Time every call, one batch each in turn, round after round."""
    contenders = {name: Contender(call) for name, call in calls.items()}
    for contender in contenders.values():
        _calibrate(contender, effort, clock)
    for _ in range(effort.rounds):
        for contender in contenders.values():
            if contender.spent_s < effort.budget_s or len(contender.samples_s) < effort.least:
                _sample(contender, clock)
    return contenders


def _calibrate(contender: Contender, effort: Effort, clock: Clock) -> None:
    """Warm up, and choose how many repeats make a batch long enough for the clock."""
    repeats = 1
    while True:
        taken_s = _batch(contender.call, repeats, clock)
        if taken_s >= effort.batch_s or repeats >= effort.most_repeats:
            break
        wanted = repeats * 1.2 * effort.batch_s / max(taken_s, 1e-9)
        repeats = min(max(repeats + 1, math.ceil(min(wanted, repeats * 10))), effort.most_repeats)
    contender.repeats = repeats


def _sample(contender: Contender, clock: Clock) -> None:
    taken_s = _batch(contender.call, contender.repeats, clock)
    contender.spent_s += taken_s
    contender.samples_s.append(taken_s / contender.repeats)


def _batch(call: Call, repeats: int, clock: Clock) -> float:
    """Return the seconds of `repeats` calls."""
    turns = range(repeats)
    start = clock()
    for _ in turns:
        call()
    return clock() - start


def geomean(values: Iterable[float]) -> float:
    """Return the geometric mean; NaN where there is nothing to average."""
    logs = [math.log(v) for v in values]
    return math.exp(statistics.fmean(logs)) if logs else math.nan
