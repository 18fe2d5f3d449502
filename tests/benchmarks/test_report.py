"""Reports: verdicts, figures, JSON, and what each benchmark derives from its samples."""

from __future__ import annotations

import importlib.util
import json
import math

import pytest

from benchmarks import (
    call_cost,
    compile_time,
    first_call,
    kernels_report,
    models_steady,
    shapes,
    tensor_ops,
)
from benchmarks.goals import Goal
from benchmarks.kernels_report import REGIMES, Case
from benchmarks.report import Report, Table, as_json, micros, show
from benchmarks.settings import Settings

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize(
    ("value", "least", "word"),
    [
        (1.0, True, "at least 1, reached"),
        (0.9, True, "NOT reached"),
        (1.1, False, "NOT reached"),
        (1.0, False, "at most 1, reached"),
        (math.nan, True, "not measured"),
    ],
)
def test_verdict(value: float, least: bool, word: str) -> None:
    assert word in Goal("what", 1.0, least).verdict(value)


def test_micros() -> None:
    assert [micros(v) for v in (1.234e-6, 123.4e-6, 0.0123456, math.nan)] == [
        "1.23",
        "123.4",
        "12,346",
        "-",
    ]


def test_json_has_settings_machine_and_no_nan() -> None:
    report = Report("x", (), {"samples_s": [1.0], "mean": math.nan}, ("a note",))
    got = json.loads(as_json(Settings(("eager",)), {"cpu": "c"}, [report], 1.25))
    assert got["settings"]["backends"] == ["eager"]
    assert got["machine"] == {"cpu": "c"}
    assert got["results"]["x"] == {"samples_s": [1.0], "mean": None, "notes": ["a note"]}


def test_show_prints_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    show(Report("x", (Table("title", ("", "one"), [["row", "[0.5]"]]),), {}, ("note",)))
    said = capsys.readouterr().out
    assert all(word in said for word in ("title", "one", "row", "[0.5]", "note"))


def test_first_call_ratios() -> None:
    got = first_call.ratios_of({"aot_eager": 2.0, "gint": 2.2, "inductor": 22.0})
    assert got["gint / aot_eager"] == pytest.approx(1.1)
    assert got["Inductor / gint"] == pytest.approx(10.0)
    assert got["own share"] == pytest.approx(0.01)
    assert math.isnan(got["Inductor prewarmed / gint"])


def test_first_call_report_without_gint() -> None:
    samples = {"llama": {"aot_eager": [2.0, 3.0], "inductor": []}}
    peaks = {"llama": {"aot_eager": [300.0, 400.4], "inductor": []}}
    report = first_call.report_of(samples, peaks, ["why"])
    assert report.tables[0].rows == [["Llama", "2.50", "-"]]
    assert report.tables[2].rows == [["Llama", "350", "-"]]
    assert report.data["peaks_mib"] == peaks
    assert report.notes[-1] == "why"


def test_first_call_own_share_may_be_negative() -> None:
    samples = {"llama": {"aot_eager": [2.0], "gint": [1.9], "inductor": [22.0]}}
    report = first_call.report_of(samples, samples, [])
    assert report.data["ratios"]["llama"]["own share"] == pytest.approx(-0.005)
    assert "reached" in report.notes[2]


def test_models_compare_with_the_better_of_eager_and_inductor() -> None:
    assert models_steady.speedup({"eager": 3.0, "inductor": 2.0, "gint": 1.0}) == 2.0
    assert models_steady.speedup({"eager": 3.0, "gint": 1.0}) == 3.0
    assert math.isnan(models_steady.speedup({"eager": 3.0}))
    row = {b: [0.002] for b in ("eager", "gint")}
    assert models_steady.report_of({"llama": row}).data["geomean"] == pytest.approx(1.0)


def _case(size: str, gint_s: float) -> Case:
    samples = {r: {"gint": [gint_s], "inductor": [2e-3], "eager": [4e-3]} for r in REGIMES}
    return Case("softmax", size, 80_000_000, samples, {"copy": 5e10, "read": 6e10})


def test_kernels_small_and_big_do_not_mix() -> None:
    cases = [_case("small", 8e-3), _case("medium", 1e-3), _case("large", 4e-3)]
    means = kernels_report.means_of(cases)["dropped"]
    assert means["Inductor / gint, small"] == pytest.approx(0.25)
    assert means["Inductor / gint, big"] == pytest.approx(1.0)
    notes = kernels_report.report_of(cases).notes
    assert any("6e+03 us" in note and "NOT reached" in note for note in notes)
    assert any(note.startswith("kernels, the worst of them") and "0.5" in note for note in notes)
    assert any(note.startswith("large kernels, bytes moved") and "0.4" in note for note in notes)


def test_kernels_report_without_gint() -> None:
    case = Case("x", "large", 8, {r: {"eager": [1e-3]} for r in REGIMES})
    report = kernels_report.report_of([case])
    assert all("not measured" in note for note in report.notes)


def test_compile_time_is_told_per_node() -> None:
    report = compile_time.report_of({"fixed sizes": (4000, [0.3, 0.2])})
    assert report.tables[0].rows == [["fixed sizes", "4000", "200", "50.0"]]


def test_call_cost_is_told_beyond_the_floor() -> None:
    report = call_cost.report_of({"gint": [17e-6, 16e-6], call_cost.FLOOR: [14e-6, 15e-6]})
    assert report.data["gint_beyond_us"] == pytest.approx(2.0)
    assert "reached" in report.notes[0]


def test_shapes_are_fifty_and_begin_oblong() -> None:
    found = shapes.shapes()
    assert len(set(found)) == len(found) == shapes.COUNT
    assert found[0][0] != found[0][1]
    assert min(min(shape) for shape in found) == 2
    assert any(rows == columns for rows, columns in found)


def test_shapes_report() -> None:
    run = {"compiles": 1, "unique_graphs": 1, "calls_s": [1.0, 0.001]}
    report = shapes.report_of({mode: {"gint": run} for mode in shapes.MODES})
    assert report.tables[0].rows[0] == ["gint, dynamic=True", "1", "1.00", "1.0"]
    assert all("reached" in note for note in report.notes)


def test_tensor_ops_report() -> None:
    samples = {"tensor_ops": [1e-3, 3e-3, 2e-3], "numpy": [1e-2], "torch": [3e-3]}
    case = tensor_ops.Case("rms_norm", (128, 4096), samples)
    report = tensor_ops.report_of([case], {"backend": "cpp", "device": "v4"})
    assert report.tables[0].rows == [
        ["rms_norm (128, 4096)", "10,000", "3,000", "2,000", "5.00", "1.50"]
    ]
    assert "NOT reached" in report.notes[0]  # 8 times NumPy
    assert "1.5 (goal: at least 1, reached)" in report.notes[-1]
    assert report.data["cases"][0]["medians_s"]["tensor_ops"] == 2e-3
    del samples["torch"]
    report = tensor_ops.report_of([case], {"backend": "python", "device": "NumPy"})
    assert report.tables[0].rows[0][2] == "-"
    assert report.notes == ()


def test_show_without_rich(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    show(Report("x", (Table("title", ("what", "one"), [["a row", "12"]]),), {}, ("note",)))
    assert capsys.readouterr().out == "\ntitle\n\nwhat   one\na row   12\n\nnote\n"
