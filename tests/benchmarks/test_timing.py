"""The timing harness, with a clock that only moves when a call says so."""

from __future__ import annotations

import math

import pytest

from benchmarks.timing import Effort, geomean, interleave

pytestmark = pytest.mark.checkout


class Clock:
    """A clock, and calls that take a chosen time on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def call(self, name: str, *seconds: float):
        """Return a call that takes these seconds, one after another, then the last ones again."""
        left = list(seconds)

        def run() -> None:
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_medians_are_per_call() -> None:
    clock = Clock()
    calls = {"a": clock.call("a", 1e-4), "b": clock.call("b", 3e-4)}
    got = interleave(calls, Effort(rounds=5, batch_s=1e-3), clock)
    assert got["a"].median_s == pytest.approx(1e-4)
    assert got["b"].median_s == pytest.approx(3e-4)
    assert got["a"].repeats >= 10
    assert len(got["a"].samples_s) == 5


def test_contenders_take_turns() -> None:
    clock = Clock()
    calls = {"a": clock.call("a", 1.0), "b": clock.call("b", 1.0)}
    interleave(calls, Effort(rounds=3, batch_s=0.0, budget_s=99.0), clock)
    assert clock.order == ["a", "b"] + ["a", "b"] * 3


def test_a_slow_first_call_is_not_a_sample() -> None:
    clock = Clock()
    got = interleave({"a": clock.call("a", 50.0, 1e-3)}, Effort(rounds=3, batch_s=1e-3), clock)
    assert got["a"].samples_s == pytest.approx([1e-3] * 3)


def test_a_slow_contender_stops_when_its_budget_is_used() -> None:
    clock = Clock()
    calls = {"slow": clock.call("slow", 5.0), "fast": clock.call("fast", 0.01)}
    got = interleave(calls, Effort(rounds=20, batch_s=0.0, budget_s=1.0, least=3), clock)
    assert len(got["slow"].samples_s) == 3
    assert len(got["fast"].samples_s) == 20


def test_repeats_have_a_bound() -> None:
    clock = Clock()
    got = interleave({"a": clock.call("a", 0.0)}, Effort(rounds=1, most_repeats=50), clock)
    assert got["a"].repeats == 50


def test_geomean() -> None:
    assert geomean([1.0, 4.0]) == pytest.approx(2.0)
    assert math.isnan(geomean([]))
