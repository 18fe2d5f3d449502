"""Tables and verdicts of the quantised products, from samples made up."""

import pytest

pytest.importorskip("torch")

from benchmarks import quantized
from benchmarks.quantized_products import COMMON, SHAPES, ManyRows, OneRow
from benchmarks.settings import Settings
from gint.quantized import FORMATS

pytestmark = [pytest.mark.checkout, pytest.mark.torch]


def test_quickly_the_common_formats_are_measured_at_one_size():
    assert quantized.cases_of(Settings(quick=True)) == [(name, SHAPES[0]) for name in COMMON]
    every = quantized.cases_of(Settings())
    assert len(set(every)) == len(every) == len(FORMATS) + len(COMMON)


def test_report():
    ours = {"prepared": [2.0], "bytes": [4.0], "float": [8.0]}
    one = OneRow("q4_0", (4096, 4096), 10**9, {**ours, "read a": [1.0], "read b": [1.9]})
    many = ManyRows("q4_0", (4096, 4096), 32, {**ours, "NumPy, (out, in)": [6.0]})
    report = quantized.report_of([one], [many], "cpp")
    assert report.tables[0].rows == [
        ["q4_0 4096x4096", "1.0", "0.5", "0.50", "0.2", "0.25", "0.1", "0.12"]
    ]
    assert report.tables[1].rows[0][:4] == ["q4_0 4096x4096", "6,000", "2,000", "3.00"]
    assert "NOT reached" in report.notes[1]
    assert "3 (goal: at least 2, reached)" in report.notes[2]
    assert report.data["one_row"][0]["medians_s"]["prepared"] == 2.0
