"""The operators: every opcode in every type is among them, and the rows are right."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from dataclasses import replace
from functools import cache

import pytest

torch = pytest.importorskip("torch")

from benchmarks import goals, operators
from benchmarks.operators_list import Case, cases, opcode_cases, program_of, without_arguments
from benchmarks.operators_report import Row, report_of
from benchmarks.settings import Settings, threads_in_effect
from gint.isa import OPCODES, opcode, opcodes
from gint.isa.opcodes import Form
from gint.program import verifier

pytestmark = [pytest.mark.checkout, pytest.mark.torch]
SHAPE = (20, 24)
PARTS = 12
#: Devices, recurrent cells, checks, lists and sums of batch statistics: more than tensors.
UNKNOWN = ("_foreach_", "attention", "lstm", "gru", "rnn", "assert", "check_errors", "sym_",
           "batch_norm", "backward", "copy_", "nll_loss2d")  # fmt: skip


def test_every_opcode_is_there_in_every_type() -> None:
    names = {case.name for case in cases()}
    for op in OPCODES:
        for t in op.types:
            row = f" -> {t}" if op.form is Form.CAST else f"{op.name}.{t}"
            assert any(row in name for name in names), f"{op.name} in {t}"


def test_rows_have_names_of_their_own() -> None:
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)


def test_nothing_is_logged_of_what_eager_alone_takes() -> None:
    """A bool, shifted: torch's fake kernel refuses it, and logs that with a traceback."""
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    log = logging.getLogger("torch._subclasses.fake_tensor")
    log.addHandler(handler)
    try:
        assert program_of(torch.ops.aten.__rshift__.Scalar, torch.bool) is None
    finally:
        log.removeHandler(handler)
    assert not said


def test_a_made_up_opcode_is_there_without_being_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = replace(opcode("neg"), name="gauss", code=len(OPCODES))
    monkeypatch.setitem(opcodes._BY_NAME, "gauss", made_up)
    monkeypatch.setattr(verifier, "OPCODES", (*OPCODES, made_up))
    names = [case.name for case in opcode_cases((*OPCODES, made_up))]
    assert names[-len(made_up.types) :] == [f"gauss.{t}" for t in made_up.types]


@pytest.mark.cpp
@pytest.mark.parametrize("part", range(PARTS))
def test_rows_are_right(part: int) -> None:
    wrong = [error for case in rows()[part::PARTS] if (error := error_of(case))]
    assert not wrong, "\n".join(wrong)


@cache
def rows() -> list[Case]:
    """All rows, but of each opcode one, in its types in turn: every opcode in every type is
    compared with NumPy, every operator in every type with eager, where these are tested."""
    found, types = [], defaultdict(list)
    for case in cases():
        opcode_of = case.name.split(".")[0].split(" ")[0]
        (types[opcode_of] if case.group == "opcode" else found).append(case)
    return found + [of[n % len(of)] for n, of in enumerate(types.values())]


def error_of(case: Case) -> str:
    """What is wrong with a row, or nothing."""
    try:
        operators.compare(case, operators.contenders_of(case, SHAPE, ("eager", "gint"))[1])
    except Exception as error:
        return f"{case.name}: {type(error).__name__}: {error}"
    return ""


def test_few_operators_are_without_arguments() -> None:
    assert all(any(word in name for word in UNKNOWN) for name in without_arguments())


@pytest.mark.cpp
def test_run_measures_what_was_asked_for() -> None:
    settings = Settings(("eager", "gint"), 1, True, ("hypot", "copysign"), ("f64",), ((7, 5),))
    report = operators.run(settings)
    rows = report.data["rows"]
    assert {row["name"] for row in rows} == {"hypot.f64", "copysign.f64"}
    assert all(row["shape"] == (7, 5) for row in rows)
    measured = {row["name"]: set(row["medians_s"]) for row in rows}
    assert measured["hypot.f64"] == {"eager", "dynamo", "gint"}
    assert measured["copysign.f64"] == {"gint", "NumPy"}  # no operator of torch's says it


def row(name: str, **medians: float) -> Row:
    samples = {contender: [value] for contender, value in medians.items()}
    return Row(name, "lowered", (2, 3), 2, made="1 program", runs=[samples])


@pytest.fixture
def two_cases(monkeypatch) -> None:
    """Two rows instead of all, which take seconds to find."""
    aten = torch.ops.aten
    targets = {"hypot.f64": aten.hypot.default, "exp.f64": aten.exp.default}
    two = [Case(name, "opcode", "f64", target) for name, target in targets.items()]
    monkeypatch.setattr(operators, "cases", lambda types: two)
    monkeypatch.setattr(operators, "without_arguments", list)


@pytest.mark.usefixtures("two_cases")
def test_a_name_of_no_row_is_answered_in_a_sentence() -> None:
    with pytest.raises(SystemExit, match="there is no such row"):
        operators.run(Settings(only=("nosuchoperator",)))


@pytest.mark.usefixtures("two_cases")
def test_an_interrupt_leaves_a_report_of_what_was_measured(monkeypatch) -> None:
    measured = []

    def measure(case, shape, threads, *_):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(Row(case.name, case.group, shape, threads))
        return measured[-1]

    monkeypatch.setattr(operators, "measure", measure)
    report = operators.run(Settings(quick=True, shapes=((7, 5), (5, 7))))
    assert [r["name"] for r in report.data["rows"]] == [r.name for r in measured]
    assert report.data["left"] == 2
    assert report.notes[0] == f"Interrupted: {report.data['left']} rows were not measured."


@pytest.mark.cpp
@pytest.mark.usefixtures("two_cases")
def test_rows_kept_in_a_file_are_not_measured_again(tmp_path, monkeypatch) -> None:
    path = tmp_path / "rows.jsonl"
    asked = Settings(("eager", "gint"), 1, True, shapes=((7, 5),), rows=str(path))
    first = operators.run(asked).data["rows"]
    monkeypatch.setattr(operators, "measure", lambda *_: pytest.fail("it is there"))
    again = operators.run(asked).data["rows"]
    assert [r["medians_s"] for r in again] == [r["medians_s"] for r in first]
    with pytest.raises(pytest.fail.Exception):  # a contender that the file does not have
        operators.run(replace(asked, backends=("eager", "gint", "inductor"), quick=False))


@pytest.mark.usefixtures("two_cases")
def test_slow_rows_are_measured_in_every_run_and_the_median_counts(tmp_path, monkeypatch) -> None:
    seconds = {"hypot.f64": iter((4.0, 1.0, 2.0)), "exp.f64": iter((1.0,))}

    def measure(case, shape, threads, *_):
        samples = {"eager": [1.0], "dynamo": [1.0], "gint": [next(seconds[case.name])]}
        return Row(case.name, case.group, shape, threads, runs=[samples])

    monkeypatch.setattr(operators, "measure", measure)
    rows = tmp_path / "rows.jsonl"
    asked = Settings(("eager", "gint"), 1, shapes=((7, 5),), runs=3, rows=str(rows))
    for _ in range(2):  # the second time from the file alone
        report = operators.run(asked)
        found = [(r["name"], r["worst"]) for r in report.data["rows"]]
        assert found == [("hypot.f64", 0.5), ("exp.f64", 1.0)]
    assert len(rows.read_text().splitlines()) == 4


@pytest.mark.usefixtures("two_cases")
def test_a_file_of_something_else_is_left_as_it_is(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not rows\n")
    with pytest.raises(SystemExit, match=r"notes\.txt, line 1: not a row of the operators"):
        operators.run(Settings(rows=str(path)))
    assert path.read_text() == "not rows\n"
    with pytest.raises(SystemExit, match="Choose another with --rows"):
        operators.run(Settings(rows=str(tmp_path)))


@pytest.mark.usefixtures("two_cases")
def test_compiling_ahead_times_nothing(monkeypatch) -> None:
    compiled = []

    def contenders_of(case, shape, contenders):
        compiled.append((case.name, contenders))
        if case.name == "exp.f64":
            raise RuntimeError("no compiler")
        return "", {"inductor": lambda: None}, ""

    monkeypatch.setattr(operators, "contenders_of", contenders_of)
    monkeypatch.setattr(operators, "take_turns", lambda *_: pytest.fail("timed"))
    monkeypatch.setattr(Settings, "usable", lambda self, among=(): self.backends)
    asked = Settings(threads=1, warm=True, shapes=((7, 5),))
    report = operators.run(asked)
    assert sorted(compiled) == [("exp.f64", ("inductor",)), ("hypot.f64", ("inductor",))]
    assert report.notes == (
        "1 of 2 rows are in Inductor's cache, 1 failed.",
        f"exp.f64, 7x5, threads: {threads_in_effect()} failed: RuntimeError: no compiler",
    )
    with pytest.raises(SystemExit, match="Inductor is left out"):
        operators.run(replace(asked, backends=("eager", "gint")))


def test_report_has_the_worst_first() -> None:
    rows = [
        row("a", eager=3.0, dynamo=4.0, inductor=2.0, gint=1.0),
        row("b", eager=1.0, dynamo=1.0, gint=2.0),
    ]
    report = report_of([*rows, Row("c", "extern", (2, 3), 2, error="ValueError: x")])
    assert [cells[0] for cells in report.tables[0].rows] == ["c", "b", "a"]
    assert report.data["rows"][1]["worst"] == 0.5
    assert report.tables[-1].rows[0][1:] == ["3", "1.22", "1.41", "2.00", "1", "1", "0", "0"]
    assert "lowered: 2: 2 1 program" in report.notes
    assert report.notes[-1] == "c failed: ValueError: x"


def test_small_calls_are_compared_with_inductor_and_counted_apart() -> None:
    calls = [
        row("level", eager=5e-6, inductor=13e-6, gint=13e-6),
        row("slow", eager=5e-6, inductor=8e-6, gint=13e-6),
    ]
    assert [r.is_slow for r in calls] == [False, True]
    report = report_of([*calls, row("large", eager=20e-6, inductor=19e-6, gint=20e-6)])
    assert report.tables[-1].rows[0][-3:] == ["0", "2", "1"]
    assert goals.OPERATORS_WORST.verdict(0.95) in report.notes


def test_what_is_compared_with_nothing_is_last() -> None:
    alone = row("alone", gint=1.0)
    assert math.isnan(alone.worst)
    report = report_of([alone, row("b", eager=9.0, gint=1.0)])
    assert [cells[0] for cells in report.tables[0].rows] == ["b", "alone"]
