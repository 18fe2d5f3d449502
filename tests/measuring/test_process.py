"""Processes of their own: empty caches, the package of the parent, and what a failure leaves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gint.measuring import process
from gint.measuring.process import Companion, ProcessError, empty_caches, reason_of, run_child

CHILD = """
import json, os, pathlib, sys
if "fail" in sys.argv:
    print("on the way", file=sys.stderr)
    raise ValueError("no such thing")
told = {"arguments": sys.argv[2:], "caches": os.environ["TORCHINDUCTOR_CACHE_DIR"]}
pathlib.Path(sys.argv[1]).write_text(json.dumps(told))
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that only this process's own path leads to."""
    (tmp_path / "child_package").mkdir()
    (tmp_path / "child_package" / "__init__.py").touch()
    (tmp_path / "child_package" / "task.py").write_text(CHILD)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return "child_package.task"


def test_a_child_gets_arguments_and_empty_caches_and_returns_json(child: str) -> None:
    told = run_child(child, "one", "two")
    assert told["arguments"] == ["one", "two"]
    assert not Path(told["caches"]).exists()


def test_a_failure_has_its_reason_and_all_that_was_said(child: str) -> None:
    with pytest.raises(ProcessError) as failed:
        run_child(child, "fail")
    assert failed.value.reason == "ValueError: no such thing"
    assert "on the way" in str(failed.value)
    assert child in str(failed.value)


def test_a_child_that_takes_too_long_is_stopped(
    child: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TIME_LIMIT_S", 0.0)
    with pytest.raises(ProcessError, match="no answer within"):
        run_child(child)


COMPANION = """
import os, sys
from gint.measuring.process import answer
def double(question):
    if question == "fail":
        raise ValueError("no such thing")
    print("not an answer")
    return [sys.argv[1], os.environ["OMP_NUM_THREADS"], question * 2]
answer(double)
"""


@pytest.fixture
def companion(child: str, tmp_path: Path) -> Companion:
    (tmp_path / "child_package" / "stays.py").write_text(COMPANION)
    module = "child_package.stays"
    return Companion(module, "argument", environment={"OMP_NUM_THREADS": "3"})


def test_a_companion_answers_again_and_again(companion: Companion) -> None:
    with companion:
        assert companion.ask(2) == ["argument", "3", 4]
        assert companion.ask("ab") == ["argument", "3", "abab"]
    assert companion._process.returncode == 0


def test_a_companion_that_fails_says_why(companion: Companion) -> None:
    with companion:
        with pytest.raises(ProcessError) as failed:
            companion.ask("fail")
        assert failed.value.reason == "ValueError: no such thing"
        with pytest.raises(ProcessError):
            companion.ask(1)


def test_a_companion_that_takes_too_long_is_stopped(
    companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TIME_LIMIT_S", 0.0)
    with companion, pytest.raises(ProcessError, match="no answer within"):
        companion.ask(1)


def test_caches_are_inside_the_folder(tmp_path: Path) -> None:
    environment = empty_caches(tmp_path)
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert Path(environment[name]).parent == tmp_path
    assert environment["TORCHINDUCTOR_FX_GRAPH_CACHE"] == "0"


def test_the_reason_is_the_exception_not_what_follows_it() -> None:
    said = (
        "Traceback\n  File x\ntorch._dynamo.exc.BackendError: no such op\n\nleaked 2 instances!\n"
    )
    assert reason_of(said) == "torch._dynamo.exc.BackendError: no such op"
    assert reason_of("Killed\n") == "Killed"
    assert reason_of("") == ""


PEAK = """
import json, pathlib, sys
from gint.measuring.process import peak_bytes
before = peak_bytes()
bytearray(b"x" * (64 << 20))
pathlib.Path(sys.argv[1]).write_text(json.dumps([before, peak_bytes()]))
"""


def test_the_peak_of_a_process_is_its_own(tmp_path, monkeypatch) -> None:
    """Not that of the process that started it."""
    (tmp_path / "peak_package").mkdir()
    (tmp_path / "peak_package" / "__init__.py").touch()
    (tmp_path / "peak_package" / "task.py").write_text(PEAK)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    held = bytearray(b"x" * (256 << 20))
    before, after = run_child("peak_package.task")
    assert after - before >= 64 << 20
    assert after < len(held) <= process.peak_bytes()
