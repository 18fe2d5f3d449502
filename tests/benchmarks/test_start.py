"""`gint bench start`: who starts how often, what becomes of it, and one way, taken for real."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import start
from benchmarks.report import plain
from benchmarks.settings import Settings
from benchmarks.start import Found, report_of, ways_of
from gint.measuring.process import ProcessError
from gint.measuring.start import EXPECTED, INPUT, SAVED, Start, measure, resident_of

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


def test_what_of_a_file_is_resident() -> None:
    maps = (
        "7f00-7f10 r--p 0000 08:01 5   /a/w.bin\nSize: 64 kB\nRss:   40 kB\n"
        "7f10-7f20 rw-p 0000 00:00 0 \nSize: 64 kB\nRss:   64 kB\n"
        "7f20-7f30 r--p 0000 08:01 5   /a/w.bin\nRss:   4 kB\nVmFlags: rd\n"
    )
    assert resident_of(maps, "/a/w.bin") == 44 << 10
    assert resident_of(maps, "/a/other") == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `prepare` makes, of a smaller model with the same signature."""
    torch = pytest.importorskip("torch")
    import numpy as np

    from gint.conductor import export

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(8, 4)

        def forward(self, input_ids, use_cache=True):
            return {"logits": torch.relu(self.table(input_ids)) + 1}

    model, ids = Model(), torch.tensor([[1, 7, 0]])
    export(
        model, (), {"input_ids": ids, "use_cache": False}, path=tmp_path / SAVED, weights="beside"
    )
    np.save(tmp_path / INPUT, ids.numpy())
    np.save(tmp_path / EXPECTED, model(ids)["logits"].detach().numpy())
    return tmp_path


def test_a_saved_plan_starts_without_torch(folder: Path) -> None:
    taken = measure("arrays", folder)
    assert taken.difference < 1e-6
    assert taken.imported_s is None
    assert taken.process_s > 0
    if taken.beyond_bytes is not None:
        assert 0 < taken.beyond_bytes < taken.peak_bytes


def test_a_way_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="FileNotFoundError"):
        measure("arrays", tmp_path)
