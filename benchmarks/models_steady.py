"""Steady state of eight small models, backends taking turns in one process: calls without
gradients (`models`), and steps of training (`training`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, divide, ratio
from benchmarks.settings import SUBJECT, Settings
from gint.measuring.backends import compile_all, title_of
from gint.measuring.clock import Effort, Samples, geomean, medians, take_turns
from gint.measuring.models import EIGHT, Built, Workload
from gint.measuring.progress import progress

FULL = Effort(rounds=40, batch_s=0.0, budget_s=6.0)
QUICK = Effort(rounds=10, batch_s=0.0, budget_s=1.5)
TITLES = {"models": "models, steady state", "training": "models, a step of training"}
GOALS = {"models": goals.MODELS, "training": goals.TRAINING}


def run(settings: Settings, name: str = "models") -> Report:
    """Measure and report every model."""
    found: dict[str, Samples] = {}
    asked = [model for model in EIGHT if settings.wants(model.name)]
    with progress(TITLES[name], len(asked)) as step:
        for model in asked:
            step(f"{model.short}: compile, then measure")
            found[model.name] = measure(model, settings, is_training=name == "training")
    return report_of(found, name)


def measure(model: Workload, settings: Settings, is_training: bool = False) -> Samples:
    """Compile the model for every backend and time them in turn."""
    import torch

    torch._dynamo.reset()
    torch.manual_seed(0)
    built = model.build("cpu")
    call = partial(train, built) if is_training else built.call
    frozen = settings.frozen and not is_training
    with torch.set_grad_enabled(is_training):
        compiled = compile_all(built.function, settings.usable(), frozen)
        calls = {name: partial(call, function) for name, function in compiled.items()}
        return take_turns(calls, QUICK if settings.quick else FULL)


def train(built: Built, function: Callable[..., Any]) -> None:
    """A forward and a backward pass; the model's mode is as built, so there is no dropout."""
    built.function.zero_grad()  # type: ignore[attr-defined]
    built.call(function).square().mean().backward()


def report_of(samples: dict[str, Samples], name: str = "models") -> Report:
    """Make the table: milliseconds per backend, and the better of eager and Inductor over gint."""
    names = list(next(iter(samples.values()), ()))
    found = {m: medians(row) for m, row in samples.items()}
    shorts = {m.name: m.short for m in EIGHT}
    ratios = {m: speedup(row) for m, row in found.items()}
    mean = geomean(ratios.values())
    rows = [
        [shorts[m], *(f"{row[b] * 1e3:.1f}" for b in names), ratio(ratios[m])]
        for m, row in found.items()
    ]
    rows.append(["geomean", *("" for _ in names), ratio(mean)])
    headers = ["", *map(title_of, names), "better of eager, Inductor / gint"]
    data: dict[str, Any] = {
        "samples_s": samples,
        "medians_s": found,
        "ratios": ratios,
        "geomean": mean,
    }
    table = Table(f"{TITLES[name]}, milliseconds (median)", headers, rows)
    return Report(name, (table,), data, (GOALS[name].verdict(mean),))


def speedup(median_s: dict[str, float]) -> float:
    """Return the better of eager and Inductor over gint; NaN where gint or both are missing."""
    others = [median_s[b] for b in ("eager", "inductor") if b in median_s]
    return divide(min(others, default=math.nan), median_s.get(SUBJECT, math.nan))
