"""The clock kit, with a clock that only moves when a call says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest

from gint.measuring.clock import (
    Effort,
    geomean,
    median,
    medians,
    take_turns,
    time_batch,
    time_calls,
)


class Clock:
    """A clock, and calls that take a chosen time on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    @property
    def timer(self) -> Callable[[Callable[[], object], int], float]:
        """Batches timed by this clock."""
        return partial(time_batch, clock=self)

    def call(self, name: str, *seconds: float) -> Callable[[], None]:
        """Return a call that takes these seconds, one after another, then the last ones again."""
        left = list(seconds)

        def run() -> None:
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_samples_are_per_call_and_batches_long_enough() -> None:
    clock = Clock()
    calls = {"a": clock.call("a", 1e-4), "b": clock.call("b", 3e-4)}
    got = take_turns(calls, Effort(rounds=5, batch_s=1e-3), clock.timer)
    assert medians(got) == pytest.approx({"a": 1e-4, "b": 3e-4})
    assert [len(values) for values in got.values()] == [5, 5]
    assert clock.order[-100:].count("a") >= 10 + 10  # ten of 1e-4 fill a batch of 1e-3


def test_turns_are_taken_in_ever_new_orders() -> None:
    clock = Clock()
    calls = {"a": clock.call("a", 1.0), "b": clock.call("b", 1.0)}
    take_turns(calls, Effort(rounds=9, batch_s=0.0), clock.timer)
    rounds = "".join(clock.order[4:])  # each is called twice before
    assert {rounds[n : n + 2] for n in range(0, len(rounds), 2)} == {"ab", "ba"}


def test_each_turn_is_one_call_where_batches_need_no_time() -> None:
    """So a call may take its next operand from a ring of its own."""
    clock = Clock()
    calls = {name: clock.call(name, 1.0) for name in "abc"}
    got = take_turns(calls, Effort(rounds=4, batch_s=0.0), clock.timer)
    assert [clock.order.count(name) for name in "abc"] == [2 + 4] * 3
    assert got == {name: [1.0] * 4 for name in "abc"}


def test_a_slow_first_call_is_no_sample_and_does_not_calibrate() -> None:
    clock = Clock()
    call = clock.call("a", 50.0, 1e-4)
    got = take_turns({"a": call}, Effort(rounds=3, batch_s=1e-3), clock.timer)
    assert got["a"] == pytest.approx([1e-4] * 3)
    assert len(clock.order) >= 1 + 10 + 3 * 10


def test_a_slow_contender_stops_when_its_budget_is_used() -> None:
    clock = Clock()
    calls = {"slow": clock.call("slow", 5.0), "fast": clock.call("fast", 0.01)}
    effort = Effort(rounds=20, batch_s=0.0, budget_s=1.0, least=3)
    got = take_turns(calls, effort, clock.timer)
    assert {name: len(values) for name, values in got.items()} == {"slow": 3, "fast": 20}


def test_no_round_begins_when_the_time_of_all_is_used() -> None:
    clock = Clock()
    calls = {"a": clock.call("a", 1.0), "b": clock.call("b", 3.0)}
    for total_s, rounds in ((0.0, 2), (11.0, 3), (12.5, 4), (1e9, 50)):
        effort = Effort(rounds=50, batch_s=0.0, total_s=total_s, least=2)
        got = take_turns(calls, effort, clock.timer)
        assert [len(values) for values in got.values()] == [rounds] * 2


def test_repeats_have_a_bound() -> None:
    clock = Clock()
    take_turns({"a": clock.call("a", 0.0)}, Effort(rounds=1, most_repeats=50), clock.timer)
    assert len(clock.order) == 1 + (1 + 10 + 50) + 50


def test_calls_stop_at_their_number_or_their_time() -> None:
    assert len(time_calls(lambda: None, most=3, seconds=60)) == 3
    assert len(time_calls(lambda: None, most=3, seconds=0)) == 1
    assert time_calls(lambda: None, most=0, seconds=60) == []
    assert len(time_calls(lambda: None, seconds=0, least=3)) == 3
    clock = Clock()
    assert time_calls(clock.call("a", 2.0, 1.0), 4.5, timer=clock.timer) == [2.0, 1.0, 1.0, 1.0]


def test_the_clock_of_the_host_moves() -> None:
    samples = take_turns({"a": lambda: sum(range(1000))}, Effort(rounds=2, batch_s=1e-4))["a"]
    assert all(0 < s < 1 for s in samples)


def test_medians_and_means() -> None:
    assert medians({"a": [1.0, 5.0, 2.0]}) == {"a": 2.0}
    assert math.isnan(median([]))
    assert geomean([1.0, 4.0]) == pytest.approx(2.0)
    assert math.isnan(geomean([]))
