"""What the benchmark of language models makes of what its processes found."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from benchmarks.decode import Row, _verdicts

pytestmark = pytest.mark.torch


def row(contender, weights, tokens, prompt=100.0):
    return Row("0.1B", 1, contender, weights, tokens, prompt, 40.0, 1 << 20, 2)


def test_verdicts_compare_with_the_same_file():
    rows = [row("gint", "q4_0", 95.0), row("llama.cpp", "q4_0", 100.0), row("eager bf16", "-", 19)]
    said = _verdicts(rows)
    assert "q4_0, gint over llama.cpp, worst: 0.95 (goal: at least 0.95, reached)" in said[0]
    assert "q8_0" in said[1]
    assert "not measured" in said[1]
    assert any("eager bfloat16, worst: 5 (goal: at least 3, reached)" in line for line in said)


def test_nothing_measured():
    assert all("not measured" in line for line in _verdicts([]))
