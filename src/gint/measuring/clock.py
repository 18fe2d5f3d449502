"""The clock: calls that take turns, so that a drift of the machine meets all of them alike.

The turns are in a new order every round: what a call finds in the caches, and whether the second
thread is still awake, depends on the call before it. A sample is a batch of calls long enough for
the clock. There are no absolute thresholds, only medians and ratios of them.

Knows functions and seconds. Does not know torch. A call that needs another operand each time takes
it from a ring of its own (`itertools.cycle`).
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gint.dataclass import frozen

Call = Callable[[], Any]
#: Returns the seconds of so many calls, one right after the other.
Timer = Callable[[Call, int], float]
#: Seconds of single calls, by contender, in the order in which they were taken.
Samples = dict[str, list[float]]


@frozen
class Effort:
    """How long to look: a sample is a batch of at least `batch_s`, one for each of the `rounds`.

    A contender that has used `budget_s` stops after `least` samples: slow ones take fewer. No
    round begins once all of them together have used `total_s`, except for the first `least`.
    """

    rounds: int = 15
    batch_s: float = 2e-3
    budget_s: float = math.inf
    total_s: float = math.inf
    least: int = 3
    most_repeats: int = 10_000


@dataclass
class _Contender:
    """One call under test, its repeats per sample, and its samples in seconds per call."""

    call: Call
    timer: Timer
    repeats: int = 1
    spent_s: float = 0.0
    samples_s: list[float] = field(default_factory=list)

    def calibrate(self, effort: Effort) -> None:
        """Call it once, and choose how many repeats make a batch long enough for the clock."""
        self.timer(self.call, 1)  # what is made at the first call says nothing about the others
        while True:
            taken_s = self.timer(self.call, self.repeats)
            if taken_s >= effort.batch_s or self.repeats >= effort.most_repeats:
                return
            wanted = self.repeats * 1.2 * effort.batch_s / max(taken_s, 1e-9)
            more = max(self.repeats + 1, math.ceil(min(wanted, self.repeats * 10)))
            self.repeats = min(more, effort.most_repeats)

    def sample(self) -> None:
        """Time one batch."""
        taken_s = self.timer(self.call, self.repeats)
        self.spent_s += taken_s
        self.samples_s.append(taken_s / self.repeats)

    def wants_more(self, effort: Effort) -> bool:
        """Whether its budget allows another sample."""
        return self.spent_s < effort.budget_s or len(self.samples_s) < effort.least


def time_batch(call: Call, repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of `repeats` calls on the host's clock."""
    turns = range(repeats)
    start = clock()
    for _ in turns:
        call()
    return clock() - start


def take_turns(calls: Mapping[str, Call], effort: Effort, timer: Timer = time_batch) -> Samples:
    """Time every call, one batch each in turn, round after round; return seconds per call."""
    contenders = {name: _Contender(call, timer) for name, call in calls.items()}
    for contender in contenders.values():
        contender.calibrate(effort)
    order, shuffle = list(contenders.values()), random.Random(0).shuffle
    for turn in range(effort.rounds):
        if turn >= effort.least and sum(c.spent_s for c in order) >= effort.total_s:
            break
        shuffle(order)
        for contender in order:
            if contender.wants_more(effort):
                contender.sample()
    return {name: contender.samples_s for name, contender in contenders.items()}


def time_calls(
    call: Call, seconds: float, least: int = 1, most: float = math.inf, timer: Timer = time_batch
) -> list[float]:
    """Return the seconds of each call, of as many as begin within `seconds`: `least` to `most`."""
    times: list[float] = []
    spent_s = 0.0
    while len(times) < most and (len(times) < least or spent_s < seconds):
        times.append(timer(call, 1))
        spent_s += times[-1]
    return times


def medians(samples: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each contender's samples; NaN for one that has none."""
    return {name: median(values) for name, values in samples.items()}


def median(values: Iterable[float]) -> float:
    """Return the median; NaN where there is nothing to take it of."""
    found = list(values)
    return statistics.median(found) if found else math.nan


def geomean(values: Iterable[float]) -> float:
    """Return the geometric mean; NaN where there is nothing to average."""
    logs = [math.log(v) for v in values]
    return math.exp(statistics.fmean(logs)) if logs else math.nan
