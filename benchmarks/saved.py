"""Steady state of eight saved models, on torch tensors and on NumPy arrays, taking turns with
torch eager and with what `torch.compile` makes of the same model.

On arrays the saved functions call nothing of torch's: programs, and the operators of
gint.operators. They run in eager's process, so that a drift of the machine meets all alike; that
they need no torch is tests/operators/test_models.py's to show.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, ratio
from benchmarks.settings import Settings
from gint.measuring.backends import compile_for
from gint.measuring.clock import Effort, Samples, geomean, medians, take_turns
from gint.measuring.models import EIGHT, Workload
from gint.measuring.progress import progress

FULL = Effort(rounds=30, batch_s=0.0, budget_s=4.0)
QUICK = Effort(rounds=8, batch_s=0.0, budget_s=1.0)
TITLES = {
    "eager": "torch eager", "gint": "torch.compile, gint", "tensors": "saved, on tensors",
    "arrays": "saved, on arrays",
}  # fmt: skip
#: What a saved function is compared with, and what it runs on.
RATIOS = {"torch.compile / saved": ("gint", "tensors"), "eager / saved": ("eager", "arrays")}


def run(settings: Settings) -> Report:
    """Measure and report every model that is wanted."""
    found: dict[str, Samples] = {}
    asked = [model for model in EIGHT if settings.wants(model.name)]
    with progress("saved models", len(asked)) as step:
        for model in asked:
            step(f"{model.short}: save, load, compile, then measure")
            found[model.name] = measure(model, settings)
    return report_of(found)


def measure(model: Workload, settings: Settings) -> Samples:
    """Save the model, load it, and time it in turn with eager and with torch.compile."""
    import torch

    import gint
    from gint.conductor import export

    torch._dynamo.reset()
    torch.manual_seed(0)
    built = model.build("cpu")
    arrays = {k: v.numpy() if torch.is_tensor(v) else v for k, v in built.kwargs.items()}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        built.call(built.function)  # transformers' models change themselves at their first call
        path = Path(folder, "model.gint")
        export(built.function, built.args, built.kwargs, path=path)
        on_tensors, on_arrays = gint.load(path), gint.load(path)
        calls = {
            "eager": partial(built.call, built.function),
            "gint": partial(built.call, compile_for(built.function, "gint")),
            "tensors": partial(on_tensors, **built.kwargs),
            "arrays": partial(on_arrays, **arrays),
        }
        return take_turns(calls, QUICK if settings.quick else FULL)


def report_of(samples: dict[str, Samples]) -> Report:
    """Make the table: milliseconds of all, and both ratios."""
    found = {m: medians(row) for m, row in samples.items()}
    shorts = {m.name: m.short for m in EIGHT}
    ratios = {
        title: {m: row[other] / row[ours] for m, row in found.items()}
        for title, (other, ours) in RATIOS.items()
    }
    rows = [
        [
            shorts[m],
            *(f"{row[c] * 1e3:.1f}" for c in TITLES),
            *(ratio(r[m]) for r in ratios.values()),
        ]
        for m, row in found.items()
    ]
    means = {title: geomean(r.values()) for title, r in ratios.items()}
    rows.append(["geomean", *("" for _ in TITLES), *map(ratio, means.values())])
    headers = ["", *TITLES.values(), *RATIOS]
    data: dict[str, Any] = {
        "samples_s": samples, "medians_s": found, "ratios": ratios, "geomeans": means,
    }  # fmt: skip
    table = Table("eight saved models, steady state, milliseconds (median)", headers, rows)
    worst = [min(r.values(), default=float("nan")) for r in ratios.values()]
    verdicts = goals.SAVED_COMPILED.verdict(worst[0]), goals.SAVED_EAGER.verdict(worst[1])
    return Report("saved", (table,), data, verdicts)
