"""`gint bench`: arguments, missing packages, and what is written when."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest

from benchmarks import command, main
from benchmarks.report import Report, Table

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize(
    "argv",
    [
        ["nope"],
        ["--backends", "nope"],
        ["--threads", "-1"],
        ["--threads", "two"],
        ["--json"],
        ["operators", "--types", "f31"],
        ["operators", "--shapes", "48"],
    ],
)
def test_wrong_arguments_exit_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "gint bench: error:" in capsys.readouterr().err


def test_missing_packages_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["first_call"]) == 2
    assert "torch and transformers" in capsys.readouterr().err


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace every benchmark by one that only says its name."""
    pytest.importorskip("rich")
    names: list[str] = []
    for name in command.BENCHMARKS:
        fake = types.ModuleType(name)
        fake.run = lambda settings, name=name: (
            names.append(name)
            or Report(  # type: ignore
                name, (Table(name, ("", "x"), [["row", "1"]]),), {"threads": settings.threads}
            )
        )
        monkeypatch.setitem(sys.modules, f"benchmarks.{command.MODULES.get(name, name)}", fake)
    monkeypatch.setattr(command, "_missing", lambda names: [])
    monkeypatch.setattr(command, "set_threads", lambda threads: None)
    monkeypatch.setattr(command, "threads_in_effect", lambda: 1)
    return names


def test_all_is_every_benchmark_once(ran: list[str]) -> None:
    assert main([]) == 0
    assert ran == [name for name in command.BENCHMARKS if name not in command.BY_NAME]
    ran.clear()
    assert main(["all", *command.BY_NAME]) == 0
    assert ran == list(command.BENCHMARKS)


@pytest.mark.parametrize("option", ["--warm", "--rows=rows.jsonl", "--runs=3"])
def test_what_is_of_operators_alone_is_refused_elsewhere(
    ran: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["kernels", option])
    assert "of the benchmark `operators`: name it" in capsys.readouterr().err
    assert main(["operators", option]) == 0
    assert ran == ["operators"]


def test_the_json_holds_what_ran(ran: list[str], tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    assert main(["shapes", "kernels", "shapes", "--threads", "1", "--json", str(path)]) == 0
    assert ran == ["shapes", "kernels"]
    got = json.loads(path.read_text(encoding="utf-8"))
    assert list(got["results"]) == ["shapes", "kernels"]
    assert got["settings"]["threads"] == got["machine"]["threads"] == 1


def test_a_json_that_cannot_be_written_is_said(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["shapes", "--json", str(tmp_path / "file" / "x.json")]) == 1
    assert "--json" in capsys.readouterr().err
