"""Graphs of many small steps: each runs, and one compiled equals eager."""

from __future__ import annotations

import pytest

from benchmarks.settings import Settings
from benchmarks.small_graphs import measure, report_of

pytestmark = pytest.mark.checkout
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_every_graph_has_a_finite_result() -> None:
    from benchmarks.small_graphs_list import GRAPHS

    assert len(GRAPHS) >= 10
    for name, build in GRAPHS.items():
        torch.manual_seed(0)
        built = build()
        with torch.no_grad():
            result = built.call(built.function)
        assert result.numel(), name
        assert bool(torch.isfinite(result).all()), name


def test_one_is_measured_and_compared() -> None:
    samples = measure("LSTM cell", Settings(("eager", "gint"), quick=True))
    assert set(samples) == {"eager", "gint"}


def test_ratios_are_of_eager() -> None:
    rows = {"a": {"eager": [4.0], "gint": [2.0]}, "b": {"eager": [1.0], "gint": [2.0]}}
    report = report_of(rows)
    assert report.data["ratios"] == {"a": 2.0, "b": 0.5}
    assert report.data["geomean"] == pytest.approx(1.0)
    assert "NOT reached" in report.notes[1]
