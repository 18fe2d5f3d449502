"""Steady state of eight saved models on NumPy arrays, taking turns with torch eager.

The saved functions call nothing of torch's: programs, and the operators of gint.operators. They run
in eager's process, so that a drift of the machine meets both alike; that they need no torch is
tests/operators/test_models.py's to show.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, ratio
from benchmarks.settings import Settings
from gint.measuring.clock import Effort, Samples, geomean, medians, take_turns
from gint.measuring.models import EIGHT, Workload
from gint.measuring.progress import progress

FULL = Effort(rounds=30, batch_s=0.0, budget_s=4.0)
QUICK = Effort(rounds=8, batch_s=0.0, budget_s=1.0)


def run(settings: Settings) -> Report:
    """Measure and report every model."""
    found: dict[str, Samples] = {}
    with progress("models without torch", len(EIGHT)) as step:
        for model in EIGHT:
            step(f"{model.short}: save, load, then measure")
            found[model.name] = measure(model, settings)
    return report_of(found)


def measure(model: Workload, settings: Settings) -> Samples:
    """Save the model, load it, and time it in turn with eager."""
    import torch

    import gint
    from gint.conductor import export

    torch.manual_seed(0)
    built = model.build("cpu")
    arrays = {k: v.numpy() if torch.is_tensor(v) else v for k, v in built.kwargs.items()}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        built.call(built.function)  # transformers' models change themselves at their first call
        path = Path(folder, "model.gint")
        export(built.function, built.args, built.kwargs, path=path)
        saved = gint.load(path)
        calls = {"eager": partial(built.call, built.function), "arrays": partial(saved, **arrays)}
        return take_turns(calls, QUICK if settings.quick else FULL)


def report_of(samples: dict[str, Samples]) -> Report:
    """Make the table: milliseconds of both, and eager over the saved function."""
    found = {m: medians(row) for m, row in samples.items()}
    shorts = {m.name: m.short for m in EIGHT}
    ratios = {m: row["eager"] / row["arrays"] for m, row in found.items()}
    rows = [
        [shorts[m], *(f"{row[c] * 1e3:.1f}" for c in ("eager", "arrays")), ratio(ratios[m])]
        for m, row in found.items()
    ]
    worst, mean = min(ratios.values()), geomean(ratios.values())
    rows.append(["geomean", "", "", ratio(mean)])
    headers = ["", "torch eager", "gint without torch", "eager / gint"]
    data: dict[str, Any] = {
        "samples_s": samples, "medians_s": found, "ratios": ratios, "geomean": mean,
    }  # fmt: skip
    table = Table("eight saved models, steady state, milliseconds (median)", headers, rows)
    return Report("without_torch", (table,), data, (goals.WITHOUT_TORCH.verdict(worst),))
