"""Progress of long steps: lines where nobody watches, a bar on a terminal."""

import io
import sys

import pytest

from gint.measuring.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_for_each_step(capsys):
    with progress("models", 2) as step:
        step("Llama")
        step("BERT")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "models [1/2] Llama\nmodels [2/2] BERT\n"


def test_a_bar_goes_away(monkeypatch):
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("models", 2) as step:
        step("Llama")
        step("BERT")
    shown = terminal.getvalue()
    assert "models" in shown
    assert "1/2" in shown
    assert "BERT" in shown
    assert shown.endswith("\x1b[2K")
