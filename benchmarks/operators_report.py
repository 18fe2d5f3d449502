"""Tables of the operators: worst first, geometric means, and what became of each operator."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, divide, micros, ratio
from benchmarks.settings import SUBJECT
from gint.measuring.clock import Samples, geomean, median

NUMPY = "NumPy"
#: Dynamo with eager's operators.
DYNAMO = "dynamo"
#: Rows of a table; the JSON has all of them.
SHOWN = 40
_FLOOR = goals.OPERATORS_WORST.bound
#: What eager does in less is a small call: 6 to 7 us of a compiled function's call are Dynamo's,
#: whatever the backend. Its row is compared with Inductor, which pays them too, and counted apart.
SMALL_S = 15e-6


@dataclass
class Row:
    """One operator at one shape and number of threads; `made` is what gint makes of it.

    Each of the `runs` has samples of all contenders, taken in turns."""

    name: str
    group: str
    shape: tuple[int, int]
    threads: int
    text: str = ""
    made: str = ""
    error: str = ""
    runs: list[Samples] = field(default_factory=list)

    def median_s(self, contender: str) -> float:
        """Median seconds per call, the median of runs; NaN where it was not measured."""
        return median(median(run[contender]) for run in self.runs if contender in run)

    def over_gint(self, contender: str) -> float:
        """A contender's time over gint's, the median of runs: a ratio is of one run."""
        return median(
            divide(median(run[contender]), median(run[SUBJECT]))
            for run in self.runs
            if contender in run and SUBJECT in run
        )

    @property
    def worst(self) -> float:
        """The better of eager and Inductor over gint; NumPy's where there is neither."""
        found = _measured(self.over_gint(c) for c in ("eager", "inductor"))
        return min(found, default=self.over_gint(NUMPY))

    @property
    def is_small(self) -> bool:
        """Whether eager takes so little that a compiled function's call is most of a call."""
        return self.median_s("eager") < SMALL_S

    @property
    def is_slow(self) -> bool:
        """Whether the better of the others takes less than the goal allows; of a small call,
        Inductor."""
        return (self.over_gint("inductor") if self.is_small else self.worst) < _FLOOR


def report_of(rows: Sequence[Row], unknown: Sequence[str] = (), left: int = 0) -> Report:
    """A table per shape and number of threads, worst first, the means, and the counts.

    `unknown` are operators without arguments, `left` the rows that an interrupt left out.
    """
    ordered = sorted(rows, key=_place)
    groups = {place: list(found) for place, found in groupby(ordered, key=_place)}
    tables = [_table(place, found) for place, found in groups.items()]
    tables.append(_means_table(groups))
    data = {
        "rows": [_data(row) for row in sorted(rows, key=lambda r: (_place(r), _rank(r)))],
        "without_arguments": list(unknown),
        "left": left,
    }
    stopped = (f"Interrupted: {left} rows were not measured.",) if left else ()
    return Report("operators", tuple(tables), data, (*stopped, *_notes(rows, unknown)))


def _place(row: Row) -> tuple[int, tuple[int, int]]:
    return row.threads, row.shape


def _rank(row: Row) -> float:
    """Worst first, what failed before that, what was not compared with anything last."""
    return -math.inf if row.error else math.inf if math.isnan(row.worst) else row.worst


def _table(place: tuple[int, tuple[int, int]], rows: Sequence[Row]) -> Table:
    threads, (height, width) = place
    headers = [
        "", "eager", "Dynamo, eager", "Inductor", NUMPY, SUBJECT, "eager / gint", "Dynamo / gint",
        "Ind. / gint", "made",
    ]  # fmt: skip
    cells = []
    for row in sorted(rows, key=_rank)[:SHOWN]:
        contenders = ("eager", DYNAMO, "inductor", NUMPY, SUBJECT)
        times = (micros(row.median_s(c)) for c in contenders)
        ratios = (ratio(row.over_gint(c)) for c in ("eager", DYNAMO, "inductor"))
        cells.append([row.name, *times, *ratios, "FAILED" if row.error else row.made])
    title = f"{height}x{width}, threads: {threads}, microseconds (median), worst first"
    if len(rows) > SHOWN:
        title += f"; {SHOWN} of {len(rows)}, all are in the JSON"
    return Table(title, headers, cells)


def _means_table(groups: dict[tuple[int, tuple[int, int]], list[Row]]) -> Table:
    headers = [
        "", "rows", "eager / gint", "Dynamo / gint", "Ind. / gint",
        f"below {_FLOOR} of the better", f"below {_FLOOR} of Dynamo", "small calls",
        f"below {_FLOOR} of Ind.",
    ]  # fmt: skip
    cells = []
    for (threads, (height, width)), rows in groups.items():
        means = (ratio(mean_over(rows, c)) for c in ("eager", DYNAMO, "inductor"))
        small, large = ([r for r in rows if r.is_small is wanted] for wanted in (True, False))
        below, below_small = (str(sum(r.is_slow for r in part)) for part in (large, small))
        below_dynamo = str(sum(r.over_gint(DYNAMO) < _FLOOR for r in rows))
        title = f"{height}x{width}, threads: {threads}"
        counts = (below, below_dynamo, str(len(small)), below_small)
        cells.append([title, str(len(rows)), *means, *counts])
    return Table("geometric means", headers, cells)


def mean_over(rows: Iterable[Row], contender: str) -> float:
    """The geometric mean of a contender's time over gint's."""
    return geomean(_measured(row.over_gint(contender) for row in rows))


def _notes(rows: Sequence[Row], unknown: Sequence[str]) -> tuple[str, ...]:
    errors = dict.fromkeys(f"{row.name} failed: {row.error}" for row in rows if row.error)
    left = [f"Without arguments, not measured: {', '.join(unknown)}."] if unknown else []
    return (
        *(goal.verdict(mean_over(rows, c)) for c, goal in goals.OPERATORS.items()),
        goals.OPERATORS_WORST.verdict(
            min(_measured(r.worst for r in rows if not r.is_small), default=math.nan)
        ),
        *(
            _count(rows, group)
            for group in ("opcode", "lowered", "decomposed", "extern", "function")
        ),
        *left,
        *errors,
    )


def _count(rows: Sequence[Row], group: str) -> str:
    """How many of a group's operators became what."""
    made = {row.name: row.made for row in rows if row.group == group and not row.error}
    counted = Counter(made.values()).most_common()
    return f"{group}: {len(made)}: " + ", ".join(f"{n} {what}" for what, n in counted)


def _data(row: Row) -> dict[str, Any]:
    medians: Callable[[str], float] = row.median_s
    return {
        "name": row.name, "group": row.group, "shape": row.shape, "threads": row.threads,
        "call": row.text, "made": row.made, "error": row.error, "runs_s": row.runs,
        "medians_s": {c: medians(c) for run in row.runs for c in run}, "worst": row.worst,
    }  # fmt: skip


def _measured(values: Iterable[float]) -> list[float]:
    return [v for v in values if not math.isnan(v)]
