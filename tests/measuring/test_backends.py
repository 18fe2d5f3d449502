"""The compared backends: their names, and why one cannot run here."""

from __future__ import annotations

import pytest

from gint.measuring import backends


def test_inductor_is_left_out_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.shutil, "which", lambda name: None)
    assert "C++ compiler" in (backends.why_not("inductor") or "")
    assert backends.why_not("eager") is None


def test_names_are_parsed_each_once() -> None:
    assert backends.parse("gint, eager") == ("gint", "eager")
    for wrong in ("", "gint,gint", "nope"):
        with pytest.raises(ValueError, match="expected a comma-separated choice"):
            backends.parse(wrong)


@pytest.mark.torch
def test_eager_is_the_function_itself() -> None:
    pytest.importorskip("torch")
    assert backends.compile_for(len, "eager") is len
