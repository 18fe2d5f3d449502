"""Graphs of many small steps, batch 1, and nets of wide convolutions, backends taking turns: are
steps cheaper than eager?"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, divide, ratio
from benchmarks.settings import SUBJECT, Settings
from gint.measuring.backends import compile_all, title_of
from gint.measuring.clock import Effort, Samples, geomean, medians, take_turns
from gint.measuring.progress import progress

FULL = Effort(rounds=60, batch_s=2e-3, budget_s=3.0)
QUICK = Effort(rounds=15, batch_s=2e-3, budget_s=0.5)


def run(settings: Settings) -> Report:
    """Measure and report every graph that was asked for."""
    from benchmarks.small_graphs_list import GRAPHS

    asked = [name for name in GRAPHS if settings.wants(name)]
    found: dict[str, Samples] = {}
    with progress("small graphs", len(asked)) as step:
        for name in asked:
            step(f"{name}: compile, then measure")
            found[name] = measure(name, settings)
    return report_of(found)


def measure(name: str, settings: Settings) -> Samples:
    """Compile one graph for every backend, compare results, and time the calls in turn.

    Raises AssertionError where a compiled result is not eager's.
    """
    import torch

    from benchmarks.small_graphs_list import GRAPHS

    torch._dynamo.reset()
    torch.manual_seed(0)
    built = GRAPHS[name]()
    with torch.no_grad():
        wanted = built.call(built.function)
        compiled = compile_all(built.function, settings.usable(), settings.frozen)
        calls = {name: partial(built.call, function) for name, function in compiled.items()}
        for call in calls.values():
            torch.testing.assert_close(call(), wanted, rtol=1e-3, atol=1e-4)
        return take_turns(calls, QUICK if settings.quick else FULL)


def report_of(samples: dict[str, Samples]) -> Report:
    """Make the table: microseconds per backend, and eager over gint and over Inductor."""
    names = list(next(iter(samples.values()), {}))
    found = {graph: medians(row) for graph, row in samples.items()}
    over = {graph: _over(row, SUBJECT) for graph, row in found.items()}
    beside = {graph: _over(row, "inductor") for graph, row in found.items()}
    rows = [
        [graph, *(f"{row[b] * 1e6:.0f}" for b in names), ratio(over[graph]), ratio(beside[graph])]
        for graph, row in found.items()
    ]
    mean, worst = geomean(over.values()), min(over.values(), default=math.nan)
    rows.append(["geomean", *("" for _ in names), ratio(mean), ratio(geomean(beside.values()))])
    headers = ["", *map(title_of, names), "eager / gint", "eager / Inductor"]
    data: dict[str, Any] = {
        "samples_s": samples, "medians_s": found, "ratios": over, "geomean": mean,
    }  # fmt: skip
    verdicts = (goals.SMALL_GRAPHS.verdict(mean), goals.SMALL_GRAPHS_WORST.verdict(worst))
    table = Table("graphs of many small steps, microseconds (median)", headers, rows)
    return Report("small_graphs", (table,), data, verdicts)


def _over(median_s: dict[str, float], backend: str) -> float:
    return divide(median_s.get("eager", math.nan), median_s.get(backend, math.nan))
