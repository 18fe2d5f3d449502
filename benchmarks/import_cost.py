"""Seconds that `import gint.conductor` takes beyond torch, torch._dynamo and AOTAutograd."""

from __future__ import annotations

import importlib
import json
import sys
import time
from itertools import pairwise
from pathlib import Path

from benchmarks import goals
from benchmarks.report import Report, Table
from benchmarks.settings import SUBJECT, Settings
from gint.measuring.backends import why_not
from gint.measuring.clock import median
from gint.measuring.process import run_child
from gint.measuring.progress import progress

HEADERS = ("import torch, torch._dynamo", "AOTAutograd", "gint.conductor", "register_backend()")


def run(settings: Settings) -> Report:
    """Import in several fresh processes and report the medians."""
    if SUBJECT not in settings.usable():
        reason = why_not(SUBJECT) or "not among --backends"
        return Report("import_cost", (), {}, (f"import cost: gint is left out: {reason}",))
    rounds = 3 if settings.quick else 9
    samples: list[list[float]] = []
    with progress("import cost", rounds) as step:
        for _ in range(rounds):
            step("import gint.conductor")
            samples.append(run_child("benchmarks.import_cost"))
    medians = [median(column) for column in zip(*samples, strict=True)]
    table = Table(
        "import cost, seconds (median)", ("", *HEADERS), [["", *(f"{m:.3f}" for m in medians)]]
    )
    data = {
        "samples_s": {h: [s[i] for s in samples] for i, h in enumerate(HEADERS)},
        "medians_s": dict(zip(HEADERS, medians, strict=True)),
    }
    return Report("import_cost", (table,), data, (goals.IMPORT.verdict(medians[2]),))


def child(result: Path) -> None:
    """Time the imports one after another, in the order of `HEADERS`."""
    times = [time.perf_counter()]
    importlib.import_module("torch._dynamo")
    times.append(time.perf_counter())
    importlib.import_module("torch._functorch.aot_autograd")

    times.append(time.perf_counter())
    import gint.conductor

    times.append(time.perf_counter())
    gint.conductor.register_backend()
    times.append(time.perf_counter())
    spans = [b - a for a, b in pairwise(times)]
    result.write_text(json.dumps(spans), encoding="utf-8")


if __name__ == "__main__":
    child(Path(sys.argv[1]))
