"""The README's tables from a benchmark run's JSON: no figure is typed by hand.

python -m benchmarks.readme_tables RUN.json README.md [TABLE...]
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from gint.measuring.models import BY_NAME

_REGIMES = (("dropped", "dropped"), ("held", "last 4 held"), ("into", "existing memory"))
_BACKENDS = ("eager", "inductor", "gint")


def machine(run: dict[str, Any]) -> str:
    m = run["machine"]
    return (
        f"{m['cpu']}, {m['cores']} cores, {m['threads']} threads, {m['memory_gib']:.0f} GiB; "
        f"Python {m['python']}, {m['date'][:10]}, commit {m['commit'][:7]}."
    )


def kernels(run: dict[str, Any]) -> str:
    """Medians of one size, and the geomeans of all."""
    result = run["results"]["kernels"]
    rows = [
        "4096x4096 float32, milliseconds. *Dropped*: the result is released before the next call; "
        "*existing*: it is written into a tensor that is there.",
        "",
        "| kernel | dropped: eager | Inductor | gint | existing: eager | Inductor | gint "
        "| Inductor / gint |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in result["cases"]:
        if case["size"] != "large":
            continue
        cells = [
            1e3 * statistics.median(case["samples_s"][regime][backend])
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


def notes(*names: str) -> Callable[[dict[str, Any]], str]:
    """The verdicts of some benchmarks, as they were printed."""

    def table(run: dict[str, Any]) -> str:
        return "\n".join(f"- {note}" for name in names for note in run["results"][name]["notes"])

    return table


def medians(name: str, unit: str, scale: float) -> Callable[[dict[str, Any]], str]:
    """One row a model, one column a backend."""

    def table(run: dict[str, Any]) -> str:
        found = run["results"][name]["medians_s"]
        columns = list(next(iter(found.values())))
        heads = " | ".join(c.replace("inductor", "Inductor") for c in columns)
        rows = [f"| {unit} | {heads} |", f"| --- |{' ---: |' * len(columns)}"]
        for model, cells in found.items():
            figures = " | ".join(f"{scale * cells[c]:.2f}" for c in columns)
            rows.append(f"| {BY_NAME[model].short} | {figures} |")
        return "\n".join([*rows, "", notes(name)(run)])

    return table


def tensor_ops(run: dict[str, Any]) -> str:
    """Medians of the operations beside NumPy's and torch's, and on what: it may be a run alone."""
    result, m = run["results"]["tensor_ops"], run["machine"]
    backend = result["backend"]
    rows = [
        f"float32, microseconds, every result fresh; `{backend}` on {result['device']}; "
        f"{m['threads']} threads, {m['date'][:10]}, commit {(m['commit'] or 'none')[:7]}.",
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


_TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "machine": machine,
    "table: first call": medians("first_call", "seconds", 1.0),
    "table: steady state of models": medians("models", "milliseconds", 1e3),
    "table: kernels": kernels,
    "table: tensor_ops": tensor_ops,
    "table: shapes, call cost, import": notes("shapes", "call_cost", "import_cost"),
}


def fill(text: str, run: dict[str, Any], names: Collection[str] = tuple(_TABLES)) -> str:
    """The page with what lies between `<!-- NAME -->` and `<!-- end -->` written anew."""
    for name in names:
        make = _TABLES[name]
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(
                f"the page has no place for {name!r}: '<!-- {name} -->', '<!-- end -->'"
            )
        filled = f"\n{make(run)}\n\n"
        text = pattern.sub(lambda m, filled=filled: m[1] + filled, text)
    return text


def main(arguments: list[str]) -> int:
    source, page, *names = arguments if len(arguments) > 1 else ("", "")
    if not source or not set(names) <= set(_TABLES):
        print(
            f"usage: python -m benchmarks.readme_tables RUN.json README.md [TABLE...]\n"
            f"tables: {', '.join(map(repr, _TABLES))}; all of them if none is named",
            file=sys.stderr,
        )
        return 2
    run = json.loads(Path(source).read_text("utf-8"))
    text = fill(Path(page).read_text("utf-8"), run, names or tuple(_TABLES))
    Path(page).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
