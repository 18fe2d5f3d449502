"""The tables of docs/benchmarks.md from a run's JSON, and the README's table from these.

python -m benchmarks.readme_tables RUN.json [TABLE...]     tables of a run that measured them
python -m benchmarks.readme_tables                         the README's table alone
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.saved import TITLES as SAVED_TITLES
from benchmarks.start import STEADY as START_LATER
from benchmarks.start import TITLES as START_TITLES
from gint.measuring.clock import median
from gint.measuring.models import BY_NAME

ROOT = Path(__file__).resolve().parent.parent
DETAILS, README = Path("docs") / "benchmarks.md", Path("README.md")
WORTH = "table: what it is worth"
_REGIMES = (("dropped", "dropped"), ("held", "last 4 held"), ("into", "existing memory"))
_BACKENDS = ("eager", "inductor", "gint")
_ALONE = ("eager", "Inductor", "gint")
_FRESH = tuple(f"dropped: {name}" for name in _ALONE)
_EXISTING = tuple(f"existing: {name}" for name in _ALONE)

Run = dict[str, Any]


def machine(run: Run) -> str:
    m = run["machine"]
    return (
        f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']:.0f} GiB; Python {m['python']}, "
        f"{_made(run)}"
    )


def _made(run: Run) -> str:
    """With how many threads, when and of which commit: tables may be of different runs."""
    m = run["machine"]
    return f"{m['threads']} threads, {m['date'][:10]}, commit {(m['commit'] or 'none')[:7]}."


def kernels(run: Run) -> str:
    """Medians of one size, and the geomeans of all."""
    result = run["results"]["kernels"]
    heads = [*_FRESH, *_EXISTING]
    rows = [
        "4096x4096 float32, milliseconds. *Dropped*: the result is released before the next call; "
        f"*existing*: it is written into a tensor that is there. {_made(run)}",
        "",
        f"| kernel | {' | '.join(heads)} | Inductor / gint |",
        f"| --- |{' ---: |' * (len(heads) + 1)}",
    ]
    for case in result["cases"]:
        if case["size"] != "large":
            continue
        cells = [
            1e3 * median(case["samples_s"][regime][backend])
            for regime in ("dropped", "into")
            for backend in _BACKENDS
        ]
        ratios = f"{cells[1] / cells[2]:.2f}, {cells[4] / cells[5]:.2f}"
        rows.append(f"| {case['kernel']} | {' | '.join(f'{c:.2f}' for c in cells)} | {ratios} |")
    rows += ["", "Inductor's time over gint's, geometric means:", ""]
    rows += ["| sizes | dropped | last 4 held | existing memory |", "| --- | ---: | ---: | ---: |"]
    for size, title in (("big", "256x1024 and 4096x4096"), ("small", "32x32")):
        means = [result["geomeans"][r][f"Inductor / gint, {size}"] for r, _ in _REGIMES]
        rows.append(f"| {title} | {' | '.join(f'{x:.2f}' for x in means)} |")
    return "\n".join(rows)


def notes(*names: str) -> Callable[[Run], str]:
    """The verdicts of some benchmarks, as they were printed."""

    def table(run: Run) -> str:
        found = [note for name in names for note in run["results"][name]["notes"]]
        return "\n".join([_made(run), "", *(f"- {note}" for note in found)])

    return table


def models(name: str, unit: str, scale: float) -> Callable[[Run], str]:
    """Seconds, one row a model, one column a backend, and the verdicts."""

    def table(run: Run) -> str:
        result = run["results"][name]
        rows = _by_model(run, result["medians_s"], unit, lambda s: f"{scale * s:.2f}")
        return "\n".join([*rows, "", *(f"- {note}" for note in result["notes"])])

    return table


def peaks(run: Run) -> str:
    """The most memory a first call's process had resident, one row a model."""
    found = run["results"]["first_call"]["median_peaks_mib"]
    return "\n".join(_by_model(run, found, "MiB", lambda mib: f"{mib:.0f}"))


def start(run: Run) -> str:
    """Seconds to the first answer, one row a way, and the verdicts."""
    result = run["results"]["start"]
    rows = [
        _made(run),
        "",
        "| | after `import torch`, s | from the start, s | of it, the model, s | peak MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for way, found in result["medians"].items():
        seconds = (found[name] for name in ("imported_s", "process_s", "built_s"))
        cells = [*("" if s is None else f"{s:.2f}" for s in seconds)]
        peak = found["peak_bytes"]
        cells.append("" if peak is None else f"{peak / 1e6:.0f}")
        rows.append(f"| {START_TITLES[way]} | {' | '.join(cells)} |")
    later = "; ".join(
        f"{START_LATER[name]} {1e3 * s:.1f}" for name, s in result["steady_medians_s"].items()
    )
    rows += ["", f"Later calls, milliseconds: {later}.", ""]
    return "\n".join([*rows, *(f"- {note}" for note in result["notes"])])


def saved(run: Run) -> str:
    """Milliseconds of later calls of saved models, both ratios, and the verdicts."""
    result = run["results"]["saved"]
    ratios = result["ratios"]
    heads = " | ".join([*SAVED_TITLES.values(), *ratios])
    rows = [_made(run), "", f"| milliseconds | {heads} |", f"| --- |{' ---: |' * 6}"]
    for model, found in result["medians_s"].items():
        cells = [f"{1e3 * found[way]:.1f}" for way in SAVED_TITLES]
        cells += [f"{r[model]:.2f}" for r in ratios.values()]
        rows.append(f"| {BY_NAME[model].short} | {' | '.join(cells)} |")
    means = " | ".join(f"{mean:.2f}" for mean in result["geomeans"].values())
    rows += [f"| geomean | | | | | {means} |", ""]
    return "\n".join([*rows, *(f"- {note}" for note in result["notes"])])


def _by_model(
    run: Run, found: dict[str, dict[str, float]], unit: str, figure: Callable[[float], str]
) -> list[str]:
    columns = list(next(iter(found.values())))
    heads = " | ".join(c.replace("inductor", "Inductor") for c in columns)
    rows = [_made(run), "", f"| {unit} | {heads} |", f"| --- |{' ---: |' * len(columns)}"]
    for model, cells in found.items():
        figures = " | ".join(figure(cells[c]) for c in columns)
        rows.append(f"| {BY_NAME[model].short} | {figures} |")
    return rows


def tensor_ops(run: Run) -> str:
    """Medians of the operations beside NumPy's and torch's, and on what."""
    result = run["results"]["tensor_ops"]
    backend = result["backend"]
    rows = [
        f"float32, microseconds, every result fresh; `{backend}` on {result['device']}; "
        f"{_made(run)}",
        "",
        f"| operation | NumPy | torch eager | {backend} | NumPy / {backend} | torch / {backend} |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in result["cases"]:
        took = case["medians_s"]
        ours = took["tensor_ops"]
        cells = [f"{1e6 * took[name]:.0f}" for name in ("numpy", "torch", "tensor_ops")]
        cells += [f"{took[name] / ours:.2f}" for name in ("numpy", "torch")]
        rows.append(f"| `{case['operation']}` {tuple(case['shape'])} | {' | '.join(cells)} |")
    return "\n".join(rows)


TABLES: dict[str, Callable[[Run], str]] = {
    "machine": machine,
    "table: first call": models("first_call", "seconds", 1.0),
    "table: memory of the first call": peaks,
    "table: start": start,
    "table: saved": saved,
    "table: steady state of models": models("models", "milliseconds", 1e3),
    "table: kernels": kernels,
    "table: tensor_ops": tensor_ops,
    "table: shapes, call cost, import": notes("shapes", "call_cost", "import_cost"),
}

# The README's table: some figures of those


@dataclass(frozen=True)
class Pick:
    """A row of the README: where its figures (eager, Inductor, gint) stand, and their unit.

    `row` is one row for all, or one for each.
    """

    text: str
    table: str
    row: str | tuple[str, ...]
    columns: tuple[str, ...]
    unit: str = "ms"
    scale: float = 1.0


_PICKS = (
    Pick("first call of a small Llama", "table: first call", "Llama", _ALONE, "s"),
    Pick("every later call of it", "table: steady state of models", "Llama", _ALONE),
    Pick(
        "its first answer in a new process, from files made ahead",
        "table: start",
        ("eager, model built", "Inductor, warm caches", "saved plan"),
        ("after `import torch`, s",) * 3,
        "s",
    ),
    Pick("first call of a small BERT", "table: first call", "BERT", _ALONE, "s"),
    Pick("RMS norm, 4096x4096", "table: kernels", "RMS norm", _FRESH),
    Pick("softmax, 4096x4096", "table: kernels", "softmax", _FRESH),
    Pick("GELU (tanh), 4096x4096", "table: kernels", "gelu tanh", _FRESH),
    Pick("50 operations in a row, 4096x4096", "table: kernels", "50-op chain", _FRESH),
    Pick("the same, into existing memory", "table: kernels", "50-op chain", _EXISTING),
    Pick(
        "`tensor_ops.softmax`, 2048x4096",
        "table: tensor_ops",
        "`softmax` (2048, 4096)",
        ("torch eager", "", "cpp"),
        scale=1e-3,
    ),
)


def worth(details: str) -> str:
    """The README's table, of the text of docs/benchmarks.md."""
    rows = ["| | eager | Inductor | gint |", "| --- | ---: | ---: | ---: |"]
    for pick in _PICKS:
        names = pick.row if isinstance(pick.row, tuple) else (pick.row,) * len(pick.columns)
        figures = (
            f"{_figure(details, pick.table, *cell) * pick.scale:.2f} {pick.unit}" if cell[1] else ""
            for cell in zip(names, pick.columns, strict=True)
        )
        rows.append(f"| {pick.text} | {' | '.join(figures)} |")
    return "\n".join(rows)


def _figure(page: str, table: str, row: str, column: str) -> float:
    place = _place(table).search(page)
    for cells in _rows(place[0] if place else ""):
        if row in cells.values() and column in cells:
            return float(cells[column])
    raise ValueError(f"{DETAILS} has no {column!r} of {row!r}, which the README shows.")


def _rows(text: str) -> Iterator[dict[str, str]]:
    """The rows of all tables in a text."""
    heads: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif not line.startswith("| ---"):
            yield dict(zip(heads, cells, strict=True))


def _place(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(?=<!-- end -->)", re.DOTALL)


def put(page: str, name: str, content: str) -> str:
    """The page with what lies between `<!-- NAME -->` and `<!-- end -->` written anew."""
    if not _place(name).search(page):
        raise ValueError(f"the page has no place for {name!r}: '<!-- {name} -->', '<!-- end -->'")
    return _place(name).sub(lambda found: f"{found[1]}\n{content}\n\n", page)


def fill(page: str, run: Run, names: Collection[str] = tuple(TABLES)) -> str:
    """The page with these tables of a run."""
    for name in names:
        page = put(page, name, TABLES[name](run))
    return page


def main(arguments: list[str], root: Path = ROOT) -> int:
    source, *names = arguments or [""]
    if not set(names) <= set(TABLES):
        print(
            f"usage: python -m benchmarks.readme_tables [RUN.json [TABLE...]]\n"
            f"tables: {', '.join(map(repr, TABLES))}; all of them if none is named",
            file=sys.stderr,
        )
        return 2
    details = (root / DETAILS).read_text("utf-8")
    if source:
        run = json.loads(Path(source).read_text("utf-8"))
        details = fill(details, run, names or tuple(TABLES))
    try:
        readme = put((root / README).read_text("utf-8"), WORTH, worth(details))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    (root / DETAILS).write_text(details, "utf-8")
    (root / README).write_text(readme, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
