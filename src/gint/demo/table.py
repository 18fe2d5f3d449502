"""What the demo says: the rows of its table, and what gint did with the graphs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gint.dataclass import frozen
from gint.demo.cumulative import Line, in_words
from gint.measuring.backends import title_of
from gint.measuring.first_call import Measurement

NAMED = 3  # nodes listed by name for each reason
HEADERS = ("backend", "first call, s", "steady state, ms", "largest difference from eager")


@frozen
class Use:
    """What gint made of one workload, summed over its graphs."""

    graphs: int
    programs: int
    instructions: int
    externs: dict[str, int]
    fallbacks: tuple[tuple[str, ...], ...]


def cells_of(measurement: Measurement) -> tuple[str, str, str, str]:
    """Return the row of one measurement under `HEADERS`."""
    name = title_of(measurement.backend)
    if measurement.failure is not None:
        return name, "-", "-", measurement.failure
    return (
        name,
        seconds(measurement.first_s),
        _number(measurement.steady_s * 1e3, ".4g"),
        "0" if measurement.difference == 0 else _number(measurement.difference, ".1e"),
    )


def seconds(value: float) -> str:
    """Return seconds with three decimals, or two significant digits where those say little."""
    return _number(value, ".3f" if not value < 0.01 else ".2g" if value >= 1e-4 else ".6f")


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def use_of(records: Sequence[dict[str, Any]]) -> Use:
    """Sum the records of `gint.conductor.statistics()`, one a compiled graph."""
    externs: dict[str, int] = {}
    for record in records:
        for op, count in record["externs"].items():
            externs[op] = externs.get(op, 0) + count
    return Use(
        graphs=len(records),
        programs=sum(r["programs"] for r in records),
        instructions=sum(r["instructions"] for r in records),
        externs=externs,
        fallbacks=tuple(tuple(f) for r in records for f in r["fallbacks"]),
    )


def sentences_of(use: Use) -> list[str]:
    """Say what gint used: graphs, programs, externs by op, and each node left to eager."""
    calls = sum(use.externs.values())
    by_count = sorted(use.externs.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{count} x {op}" for op, count in by_count)
    programs = _count(use.programs, "program")
    sentences = [
        f"{_count(use.graphs, 'graph')}: {programs} of {_count(use.instructions, 'instruction')}",
        _count(calls, "extern call") + (f": {listed}" if calls else ""),
        _count(len(use.fallbacks), "node") + " left to eager" + (":" if use.fallbacks else ""),
    ]
    return sentences + _fallbacks(use.fallbacks)


def _fallbacks(fallbacks: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a line for each operator and reason, with the nodes it holds for."""
    nodes: dict[tuple[str, str], list[str]] = {}
    for node, op, reason in fallbacks:
        nodes.setdefault((op, reason), []).append(node)
    return [
        f"  {len(names)} x {op} ({_some(names)}): {reason}" for (op, reason), names in nodes.items()
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def lines_of(measurements: Sequence[Measurement]) -> list[Line]:
    """Return the cumulative line of every measurement that has numbers."""
    return [
        Line(title_of(m.backend), m.first_s, m.steady_s)
        for m in measurements
        if m.failure is None and not math.isnan(m.steady_s)
    ]


def crossings_in_words(measurements: Sequence[Measurement]) -> list[str]:
    """Say for gint and each other backend whether and where they cross."""
    lines = {line.name: line for line in lines_of(measurements)}
    gint = lines.pop("gint", None)
    return [] if gint is None else [in_words(gint, other) for other in lines.values()]
