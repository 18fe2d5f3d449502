"""Cumulative lines: where two of them cross, and how that is said."""

from __future__ import annotations

import pytest

from gint.demo.cumulative import Line, crossing, crossings, duration, in_words, level

SLOW_START = Line("compiled", 10.0, 0.01)
FAST_START = Line("eager", 0.05, 0.05)
LOSING = Line("losing", 1.0, 0.5)


def test_crossing_is_the_first_call_at_which_the_later_has_cost_no_more() -> None:
    found = crossing(FAST_START, SLOW_START)
    assert found is not None
    assert (found.earlier, found.later) == (FAST_START, SLOW_START)
    assert SLOW_START.after(found.calls) <= FAST_START.after(found.calls)
    assert SLOW_START.after(found.calls - 1) > FAST_START.after(found.calls - 1)
    assert found.at_s == SLOW_START.after(found.calls)


def test_crossing_does_not_depend_on_the_order() -> None:
    assert crossing(SLOW_START, FAST_START) == crossing(FAST_START, SLOW_START)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (FAST_START, LOSING),  # starts lower and is faster
        (Line("a", 1.0, 0.1), Line("b", 2.0, 0.1)),  # parallel
        (Line("a", 1.0, 0.1), Line("b", 1.02, 0.099)),  # noise
        (Line("a", 1.0, 1e-6), Line("b", 99.0, 0.9e-6)),  # beyond the horizon
    ],
)
def test_no_crossing(a: Line, b: Line) -> None:
    assert crossing(a, b) is None


def test_crossings_come_in_order_of_calls() -> None:
    lines = [FAST_START, SLOW_START, Line("middle", 1.0, 0.02)]
    calls = [c.calls for c in crossings(lines)]
    assert len(calls) == 3
    assert calls == sorted(calls)


def test_level_needs_both_figures_close() -> None:
    assert level(Line("a", 1.0, 0.1), Line("b", 1.04, 0.097))
    assert not level(Line("a", 1.0, 0.1), Line("b", 1.04, 0.2))


def test_words() -> None:
    assert in_words(LOSING, FAST_START) == "eager starts ahead of losing and stays ahead."
    assert in_words(SLOW_START, FAST_START) == (
        "eager starts ahead of compiled; compiled has caught up after 250 calls, 12.5 s in."
    )
    assert "within 5%" in in_words(FAST_START, FAST_START)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2e-6, "2 µs"),
        (0.0042, "4.2 ms"),
        (12.34, "12.3 s"),
        (600, "10 minutes"),
        (9000, "2.5 hours"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
