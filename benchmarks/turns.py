"""Calls that take turns on a clock, so that a drift of the machine meets them alike.

In a new order every turn: what a call finds in the caches, and whether the second thread is still
awake, depends on the call before it.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

#: One timed call; it gets the number of the turn.
Turn = Callable[[int], object]


def take_turns(
    calls: Mapping[str, Turn], seconds: float, least: int = 5, warm_up: int = 2
) -> dict[str, list[float]]:
    """Seconds of every call, turn after turn, until `seconds` have gone by."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    turn, end = -warm_up, time.perf_counter() + seconds
    order, shuffle = list(calls.items()), random.Random(0).shuffle
    while turn < least or time.perf_counter() < end:
        shuffle(order)
        for name, call in order:
            start = time.perf_counter()
            call(turn)
            taken = time.perf_counter() - start
            if turn >= 0:
                samples[name].append(taken)
        turn += 1
    return samples


def medians(samples: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in samples.items()}
