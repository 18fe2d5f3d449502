"""`gint demo`: arguments, missing packages, what is measured and what the exit status says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gint.demo import command, main
from gint.measuring.backends import NAMES
from gint.measuring.first_call import Measurement


@pytest.mark.parametrize(
    "argv",
    [
        ["--backends", "eager,nope"],
        ["--backends", ""],
        ["--backends", "gint,gint"],
        ["--device", "x"],
        ["surplus"],
    ],
)
def test_wrong_arguments_exit_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "gint demo: error:" in capsys.readouterr().err


def test_missing_packages_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    gone = ("torch", "transformers")
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in gone else found(n))
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install torch transformers" in said


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Replace the measuring processes, and return what was asked of them."""
    pytest.importorskip("rich")
    asked: list[tuple[str, str]] = []

    def fake(workload: str, backend: str, **options: object) -> Measurement:
        asked.append((workload, backend))
        failure = "it broke" if (workload, backend) == ("llama", "inductor") else None
        return Measurement(workload, backend, 1.0, (0.1, 0.1), 0.0, 2, failure=failure)

    monkeypatch.setattr(command, "measure", fake)
    monkeypatch.setattr(command, "why_not", lambda backend, device: None)
    monkeypatch.setattr(command, "NEEDED", ())
    monkeypatch.setattr(command, "_machine", lambda chapters, device: "a machine")
    return asked


def test_every_workload_meets_every_backend(
    measured: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "demo.html"
    assert main(["--output", str(page), "--device", "cpu"]) == 0
    assert measured == [(w, b) for w in ("llama", "example") for b in NAMES]
    assert "it broke" in page.read_text(encoding="utf-8")
    assert str(page) in capsys.readouterr().out.replace("\n", "")


def test_a_failing_gint_is_exit_status_1(
    measured: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "why_not", lambda backend, device: "not built")
    assert main(["--output", str(tmp_path / "p.html"), "--device", "cpu"]) == 1


def test_an_output_that_cannot_be_written_is_said(
    measured: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "demo.html"
    assert main(["--output", str(output), "--device", "cpu"]) == 1
    assert "--output" in capsys.readouterr().err
