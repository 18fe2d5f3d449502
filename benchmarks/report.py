"""Reports: tables on the terminal, and one JSON file with settings, machine, samples, medians."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.settings import Settings
from gint.measuring.files import write


@dataclass(frozen=True)
class Table:
    """A titled table of text; the first column is left-aligned, the others right."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """What one benchmark found: tables and notes for people, `data` (samples, medians) for JSON."""

    name: str
    tables: tuple[Table, ...]
    data: dict[str, Any]
    notes: tuple[str, ...] = field(default=())


def show(report: Report) -> None:
    """Print the report's tables and notes; plainly where rich is not installed."""
    if importlib.util.find_spec("rich") is None:
        _show_plainly(report)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(soft_wrap=False, width=160)  # a file has room for whole headers
    for table in report.tables:
        drawn = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left")
        for i, header in enumerate(table.headers):
            drawn.add_column(header, justify="right" if i else "left", no_wrap=i == 0)
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
    for note in report.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _show_plainly(report: Report) -> None:
    for table in report.tables:
        print(plain(table))
    print()
    for note in report.notes:
        print(note)


def plain(table: Table) -> str:
    """Return a table as text."""
    rows = [table.headers, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"\n{table.title}\n"]
    for first, *others in rows:
        cells = (cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def as_json(
    settings: Settings, machine: dict[str, Any], reports: Sequence[Report], wall_s: float
) -> str:
    """Return the run as JSON text; a number that is not one (NaN) becomes null."""
    everything = {
        "settings": asdict(settings),
        "skipped": settings.skipped(),
        "machine": machine,
        "wall_s": round(wall_s, 1),
        "results": {r.name: {**r.data, "notes": list(r.notes)} for r in reports},
    }
    return json.dumps(_finite(everything), indent=1, allow_nan=False) + "\n"


def save(path: Path, text: str) -> None:
    """Write the JSON file, whole or not at all."""
    write(path, text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def ratio(value: float) -> str:
    """Return a ratio with two decimals, or "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def seconds(value: float) -> str:
    """Return seconds with two decimals, or "-"."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def whole(value: float) -> str:
    """Return a figure without decimals, or "-"."""
    return "-" if math.isnan(value) else f"{value:.0f}"


def micros(seconds_: float) -> str:
    """Return seconds as microseconds with three or four significant digits, or "-"."""
    us = seconds_ * 1e6
    if math.isnan(us):
        return "-"
    return f"{us:.2f}" if us < 100 else f"{us:,.0f}" if us >= 1000 else f"{us:.1f}"


def divide(a: float, b: float) -> float:
    """Return a / b; NaN where either is missing (NaN) or b is 0."""
    return a / b if b else math.nan
