"""Every opcode and every ATen operator the conductor knows, each alone through `torch.compile`.

Backends take turns in one process; medians of rounds. Dynamo with eager's operators is one of them:
a compiled call is 10 us before any kernel, and up to 80 where tensors have driven its guards out of
the caches. Results are compared with eager's before they are timed. What is measured comes from the
tables (operators_list.py), so an opcode that is new is measured without being named. An opcode no
operator says is beside NumPy's interpreter, at small shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.operators_kept import Kept
from benchmarks.operators_list import TORCH, Case, cases, without_arguments
from benchmarks.operators_report import DYNAMO, NUMPY, Row, report_of
from benchmarks.report import Report
from benchmarks.settings import SUBJECT, Settings, threads_in_effect
from gint.measuring.backends import compile_for
from gint.measuring.clock import Call, Effort, take_turns
from gint.measuring.progress import progress

SHAPES: tuple[tuple[int, int], ...] = ((48, 40), (300, 1000), (2048, 1024))
BACKENDS = ("eager", SUBJECT, "inductor")
#: A batch is several calls of 10 MB: in the first of them the caches are full of another's results.
FULL = Effort(rounds=11, batch_s=2e-3, budget_s=0.2)
QUICK = Effort(rounds=5, batch_s=2e-3, budget_s=0.05)
#: Against eager, relative and absolute: many of them are of sums in another order. A result of a
#: half type may instead be as far from that in float32.
_TOLERANCES = {
    torch.float64: 1e-8, torch.float32: 2e-3, torch.float16: 1e-2, torch.bfloat16: 5e-2,
    torch.complex64: 2e-3,
}  # fmt: skip
#: Eager's own constant is a sixth as float32 has it, 3e-8 from a sixth.
_COARSE = {torch.ops.aten.hardsigmoid_backward.default: 1e-7}
_HALVES = (torch.float16, torch.bfloat16)
_UNSET = ("empty", "new_empty")
#: Of more elements NumPy's interpreter, which may go line by line, would take minutes a row.
_NUMPY_POINTS = 1 << 14

Place = tuple[int, tuple[int, int], Case]


def run(settings: Settings) -> Report:
    """Measure the rows asked for at each shape and number of threads, and report.

    An interrupt (Ctrl-C) ends the measuring: what there is by then is reported.
    """
    kept = Kept(Path(settings.rows) if settings.rows else None)
    places = _places(settings)
    contenders = _contenders(settings)
    if settings.warm:
        if "inductor" not in settings.usable():
            raise SystemExit("--warm has Inductor compile, and Inductor is left out.")
        return _compile_ahead([p for p in places if not kept.has(*_key(p), contenders)])
    effort = QUICK if settings.quick else FULL
    left = 0
    with suppress(KeyboardInterrupt):
        for turn in range(settings.runs):
            wanted = [p for p in places if kept.wants(*_key(p), contenders, turn)]
            left = len(wanted)
            with progress("operators", left) as step:
                for threads, shape, case in wanted:
                    step(f"{case.name}, {shape[0]}x{shape[1]}, threads: {threads}")
                    torch.set_num_threads(threads)
                    kept.add(measure(case, shape, threads, contenders, effort))
                    left -= 1
    rows = [row for p in places if (row := kept.row(*_key(p)))]
    return report_of(rows, [] if settings.only else without_arguments(), left)


def _contenders(settings: Settings) -> tuple[str, ...]:
    usable = settings.usable(BACKENDS[:2] if settings.quick else BACKENDS)
    return tuple(c for b in usable for c in ((b, DYNAMO) if b == "eager" else (b,)))


def _places(settings: Settings) -> list[Place]:
    """Every row asked for, at each shape and number of threads."""
    chosen = [c for c in cases(types=settings.types) if settings.wants(c.name)]
    if not chosen:
        raise SystemExit(
            "gint bench operators: there is no such row. --only takes names of opcodes and "
            "operators (exp, huber_loss.default), --types those of docs/isa.md (f32, i64)."
        )
    shapes = settings.shapes or (SHAPES[-1:] if settings.quick else SHAPES)
    most = threads_in_effect()
    threads = (most,) if settings.threads or settings.quick else tuple(dict.fromkeys((1, most)))
    return [(n, shape, case) for n in threads for shape in shapes for case in chosen]


def _key(place: Place) -> tuple[str, tuple[int, int], int]:
    threads, shape, case = place
    return case.name, shape, threads


def _compile_ahead(places: Sequence[Place]) -> Report:
    """Have Inductor compile every row, into the cache that it keeps in files. Nothing is timed.

    What is measured afterwards loads its code: a twentieth of a second a row, not seconds."""
    failed: dict[str, str] = {}
    done = 0
    torchs_own = [p for p in places if p[-1].program is None]
    with suppress(KeyboardInterrupt), progress("compiling", len(torchs_own)) as step:
        for threads, shape, case in torchs_own:
            step(what := f"{case.name}, {shape[0]}x{shape[1]}, threads: {threads}")
            torch.set_num_threads(threads)
            try:
                contenders_of(case, shape, ("inductor",))[1]["inductor"]()
            except Exception as error:  # its row says so when it is measured
                failed[what] = _reason(error)
            done += 1
    notes = (
        f"{done - len(failed)} of {len(torchs_own)} rows are in Inductor's cache, "
        f"{len(failed)} failed.",
        *(f"{name} failed: {reason}" for name, reason in failed.items()),
    )
    return Report("operators", (), {"compiled": done, "failed": failed}, notes)


def measure(
    case: Case, shape: tuple[int, int], threads: int, contenders: tuple[str, ...], effort: Effort
) -> Row:
    """One row. What does not compile, or is not eager's result, becomes the row's error."""
    row = Row(case.name, case.group, shape, threads)
    try:
        row.text, calls, row.made = contenders_of(case, shape, contenders)
        compare(case, calls, _in_float32(case, shape))
        row.runs.append(take_turns(calls, effort))
    except Exception as error:  # hours of other rows are not thrown away for this one
        row.error = _reason(error)
    return row


def _reason(error: Exception) -> str:
    """The first line of an error, with its type."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason').splitlines()[0]}"


def contenders_of(
    case: Case, shape: tuple[int, int], contenders: tuple[str, ...]
) -> tuple[str, dict[str, Call], str]:
    """The call as text, a call per contender, and what gint makes of it."""
    if case.program is not None:
        return _program_contenders(case, shape)
    torch._dynamo.reset()
    said = case.call(shape)
    tensors = tuple(said.tensors.values())
    calls = {c: partial(compiled(said.function(), c), *tensors) for c in contenders}
    return said.text, calls, _made_by(calls[SUBJECT]) if SUBJECT in calls else ""


def compiled(function: Callable[..., Any], contender: str, **options: Any) -> Callable[..., Any]:
    """The function as a contender has it."""
    if contender == DYNAMO:
        return torch.compile(function, backend="eager", **options)
    return compile_for(function, contender, **options)


def _in_float32(case: Case, shape: tuple[int, int]) -> Call | None:
    """Eager on the same numbers, as float32 where they are halves."""
    if case.program is not None or TORCH[case.type] not in _HALVES:
        return None
    said = case.call(shape)
    tensors = (t.float() if t.dtype in _HALVES else t for t in said.tensors.values())
    return partial(said.function(), *tensors)


def _made_by(call: Call) -> str:
    """What became of the operator at its first call: programs, an extern, or eager."""
    from gint.conductor.records import statistics

    known = {id(record) for record in statistics()}
    call()
    records = [r for r in statistics() if id(r) not in known]
    programs = sum(r.programs for r in records)
    parts = [f"{programs} program{'s' * (programs != 1)}"] if programs else []
    parts += ["extern"] if any(r.externs for r in records) else []
    parts += ["eager"] if any(r.fallbacks for r in records) else []
    return " + ".join(parts) or "nothing"


def _program_contenders(case: Case, shape: tuple[int, int]) -> tuple[str, dict[str, Call], str]:
    from gint.host.executor import load
    from gint.host.selection import select

    assert case.program is not None
    named: dict[str, Any] = {p.name: 3 for p in case.program.program.params}
    for slot in case.program.program.slots:
        if slot.access.reads:
            named[slot.name] = _filled(shape, TORCH[slot.dtype.name])
    extents = dict(zip(("rows", "cols"), shape, strict=True))
    calls: dict[str, Call] = {
        SUBJECT: partial(load(case.program, select().name), extents=extents, **named)
    }
    if math.prod(shape) <= _NUMPY_POINTS:
        calls[NUMPY] = partial(load(case.program, "python"), extents=extents, **named)
    return f"the opcode alone, {case.program.program.name}", calls, "1 program"


def _filled(shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_floating_point:
        return torch.randn(shape).to(dtype)
    return torch.randint(*((0, 2) if dtype is torch.bool else (1, 7)), shape).to(dtype)


def compare(case: Case, calls: Mapping[str, Callable[[], Any]], wide: Call | None = None) -> None:
    """Raises AssertionError where a contender's result is not that of eager, or of NumPy.

    `wide` is eager with float32 where the case has halves."""
    reference = next((calls[c] for c in ("eager", NUMPY) if c in calls), None)
    expected = _tensors(reference()) if reference else []
    exact: list[torch.Tensor] | None = None
    for call in calls.values() if reference else ():
        got = _tensors(call())
        found, wanted = ([(t.shape, t.dtype) for t in ts] for ts in (got, expected))
        assert found == wanted, f"{found} is not eager's {wanted}"
        for n, (a, b) in enumerate(zip(got, expected, strict=True)):
            if _is_chance(case.target) or _is_close(case, a, b):
                continue
            if wide is not None and a.dtype in _HALVES:
                exact = exact or _tensors(wide())
                assert _is_no_further(a, b, exact[n]), f"result {n} is further off than eager's"
            else:
                torch.testing.assert_close(a, b, **_tolerance(case, a), equal_nan=True)


def _tolerance(case: Case, result: torch.Tensor) -> dict[str, float]:
    close = max(_TOLERANCES.get(result.dtype, 0.0), _COARSE.get(case.target, 0.0))
    return {"rtol": close, "atol": close}


def _is_close(case: Case, got: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(got, expected, **_tolerance(case, got), equal_nan=True)


def _is_no_further(got: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor) -> bool:
    """Whether it differs from the result in float32 as much as eager's does at most."""
    off, eager_off = ((t.float() - exact.float()).abs().nan_to_num().max() for t in (got, eager))
    return bool(off <= eager_off)


def _is_chance(target: Any) -> bool:
    """Whether an operator's result is drawn, or is whatever was in its memory."""
    if target is None:
        return False
    name = target._schema.name.split("::")[1]
    return torch.Tag.nondeterministic_seeded in target.tags or name.startswith(_UNSET)


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, (tuple, list)):
        return [t for item in value for t in _tensors(item)]
    return [] if value is None else [torch.as_tensor(value)]
