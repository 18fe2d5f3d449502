"""`gint bench saved`: its table and verdicts."""

from __future__ import annotations

import pytest

from benchmarks.report import plain
from benchmarks.saved import report_of
from gint.measuring.models import EIGHT

pytestmark = pytest.mark.checkout


def test_both_ratios_and_the_worst_of_each() -> None:
    fast = {"eager": [8.0], "gint": [4.0], "tensors": [4.0], "arrays": [4.0]}
    slow = {"eager": [8.0], "gint": [4.5], "tensors": [5.0], "arrays": [16.0]}
    first, second = (model.name for model in EIGHT[:2])
    report = report_of({first: fast, second: slow})
    text = plain(report.tables[0])
    assert "torch.compile / saved" in text
    assert report.data["ratios"]["eager / saved"][first] == 2.0
    compiled, eager = report.notes
    assert "0.9 (goal: at least 0.97, NOT reached)" in compiled
    assert "0.5 (goal: at least 1, NOT reached)" in eager


def test_nothing_wanted_is_nothing_measured() -> None:
    assert all("not measured" in note for note in report_of({}).notes)
