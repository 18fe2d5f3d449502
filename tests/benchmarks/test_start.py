"""`gint bench start`: who starts how often, and what becomes of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import start
from benchmarks.report import plain
from benchmarks.settings import Settings
from benchmarks.start import Found, report_of, ways_of
from gint.measuring.start import SAVED, Start

pytestmark = pytest.mark.checkout

FAST = Start(0.4, 0.09, None, 1e-6, 200_000_000, 50_000_000)
SLOW = Start(5.0, 3.5, 3.0, 0.0, 500_000_000, None)


def test_ways_are_those_asked_for_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    assert "onnx" not in ways_of(Settings())
    assert set(ways_of(Settings(quick=True))) == {"saved", "arrays", "eager", "gint", "door"}
    assert set(ways_of(Settings(("eager",)))) == {"eager"}
    monkeypatch.setattr(start, "find_spec", lambda name: object())
    assert "onnx" in ways_of(Settings(quick=True))


def test_medians_verdicts_and_other_answers() -> None:
    slower = FAST._replace(process_s=0.8, imported_s=0.2)
    wrong = SLOW._replace(difference=math.nan)
    found = Found(
        {"saved": [FAST, slower, FAST], "arrays": [FAST._replace(imported_s=None)],
         "eager": [SLOW], "gint": [wrong], "aoti": []},
        {"eager": [2.0], "gint": [1.0], "saved": [2.0]}, 52_000.0, ["it failed", "it failed"],
    )  # fmt: skip
    report = report_of(found)
    assert report.data["medians"]["saved"]["imported_s"] == 0.09
    text = plain(report.tables[0])
    assert "saved plan, without torch" in text
    assert "AOTInductor's package" in text
    after_import, from_start, file, memory, steady, other, failure = report.notes
    assert "90 ms (goal: at most 100 ms, reached)" in after_import
    assert "0.4 s (goal: at most 0.5 s, reached)" in from_start
    assert "0.052 MB" in file
    assert "50 MB" in memory
    assert "0.5 (goal: at least 1, NOT reached)" in steady
    assert other.startswith("torch.compile, gint: its answer differs")
    assert failure == "it failed"


def test_nothing_found_is_not_measured() -> None:
    report = report_of(Found({"saved": [], "arrays": []}, failures=["no torch"]))
    assert all("not measured" in note for note in report.notes[:5])
    assert report.notes[-1] == "no torch"


def test_what_is_made_ahead_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[str] = []

    def prepare(way: str, folder: Path, environment: object) -> None:
        made.append(way)
        (folder / SAVED).touch()

    monkeypatch.setattr(start, "prepare", prepare)
    monkeypatch.setattr(start, "measure", lambda *args: SLOW)
    monkeypatch.setattr(start, "find_spec", lambda name: object())
    settings = Settings(("eager",), ahead=str(tmp_path / "ahead"))
    for _ in range(2):
        assert start.run(settings).data["medians"]["onnx"]["process_s"] == SLOW.process_s
        assert made == ["arrays", "onnx"]
