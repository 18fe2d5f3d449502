"""What the benchmark of language models makes of what its processes found."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from benchmarks.decode import HEADERS, NO_FILE, Row, measure, report_of

pytestmark = pytest.mark.torch


def row(contender, weights, tokens_per_s, prompt_per_s=1000.0, **others):
    seconds = 1 / tokens_per_s, 128 / prompt_per_s
    figures = {
        "bandwidth": 1e9, "nbytes": 10_000_000, "resident": 10_500_000, "process": 0, "graphs": 0,
        "first": 1.0,
    }  # fmt: skip
    return Row("0.1B", 1, weights, contender, *seconds, **(figures | others))


def test_verdicts_compare_with_the_same_file():
    rows = [
        row("gint", "q4_0", 95.0),
        row("llama.cpp", "q4_0", 100.0, 500.0),
        row("eager bf16", NO_FILE, 19.0),
        row("airllm", "q8_0", 99.0, resident=12_000_000, attention=2e-4, between=6e-5),
        row("dynamo", "q4_0", 80.0, first=0.8),
        row("aot_eager", "q4_0", 20.0, first=2.0),
    ]
    said = report_of(rows, ["what failed"]).notes
    assert "gint: tokens per second, q4_0, over llama.cpp, worst: 0.95 (goal: at least 0.95, " \
        "reached)" in said  # fmt: skip
    assert any(n.startswith("gint: prompt of 128 tokens") and ": 2 (" in n for n in said)
    assert any(n.startswith("gint: tokens per second, over eager") and ": 5 (" in n for n in said)
    over = "gint: first turn, over tracing by {} and eager torch, worst: {} (goal: at most 1, {})"
    assert over.format("Dynamo", 1.25, "NOT reached") in said
    assert over.format("AOTAutograd", 0.5, "reached") in said
    assert "airllm: tokens per second, q8_0, over llama.cpp, worst: not measured" in said
    assert any(
        n.startswith("airllm: resident") and "1.2 (goal: at most 1.1, NOT" in n for n in said
    )
    assert any("beyond its matrices" in n and ": 101 us" in n for n in said)
    assert sum("beyond its products and its attention, worst: 60 us" in n for n in said) == 1
    assert said[-1] == "what failed"


def test_a_row_has_a_cell_for_every_header():
    assert row("gint", "q4_0", 50.0).beyond_us == 10_000
    (cells,) = report_of([row("gint", "q4_0", 50.0)], []).tables[0].rows
    found = dict(zip(HEADERS, cells, strict=True))
    assert (found["tokens/s"], found["between, us"]) == ("50.0", "-")


def test_nothing_measured():
    assert all("not measured" in line for line in report_of([], []).notes)


def test_a_contender_that_cannot_is_said(tmp_path):
    found, failed = measure("0.1B", "q4_0", ("airllm",), tmp_path / "none.gguf", 1, 1)
    assert not found
    assert "airllm q4_0 0.1B: " in failed[0]
    assert "none.gguf" in failed[0]
