"""A measurement: its steady state, its numbers from a process, and what a failing one leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gint.measuring import first_call
from gint.measuring.first_call import Measurement, measure
from gint.measuring.process import ProcessError


def test_steady_state_is_the_median_of_the_later_half() -> None:
    assert Measurement("w", "b", calls_s=(9.0, 9.0, 9.0, 1.0, 2.0, 3.0)).steady_s == 2.0
    assert Measurement("w", "b", calls_s=(4.0,)).steady_s == 4.0


@pytest.mark.torch
def test_the_example_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the process does, done in this one."""
    pytest.importorskip("torch")

    def here(module: str, *arguments: str) -> object:
        assert module == first_call.__name__
        result = tmp_path / "result.json"
        monkeypatch.setattr(sys, "argv", [module, str(result), *arguments])
        first_call.main()
        return json.loads(result.read_text(encoding="utf-8"))

    monkeypatch.setattr(first_call, "run_child", here)
    got = measure("example", "gint", calls=3, seconds=60, prewarm=True)
    assert (got.failure, got.difference, len(got.calls_s)) == (None, 0, 3)
    assert got.first_s > 0
    assert got.peak_bytes > 1 << 26
    assert got.threads >= 1
    assert got.statistics[-1]["programs"] == 1


def test_a_failing_process_becomes_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "invalid choice" in (measure("no such workload", "eager").failure or "")

    def fails(*arguments: str) -> None:
        raise ProcessError("-m it", "it broke", "and said much")

    monkeypatch.setattr(first_call, "run_child", fails)
    assert measure("example", "eager").failure == "it broke"
