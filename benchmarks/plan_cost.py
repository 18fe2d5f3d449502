"""What a plan costs per step: graphs of 100 steps of one kind, beside the same steps called bare.

A call of a compiled graph is Dynamo's guards, then the plan. Guards and wrapper are what a backend
costs that returns a preallocated result for the same graph; a step's own work is the same bound
launch, or the same operator with the same arguments, called in a loop. What is left, per step, is
the plan: memory, views, arguments, and the way from one step to the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import goals
from benchmarks.call_cost import preallocating
from benchmarks.report import Report, Table, micros
from benchmarks.settings import Settings
from gint.measuring.clock import Call, Effort, medians, take_turns
from gint.measuring.progress import progress

STEPS = 100
ROWS, WIDTH = 8, 64
FULL, QUICK = Effort(rounds=40, batch_s=5e-3), Effort(rounds=9, batch_s=3e-3)


@dataclass(frozen=True)
class Kind:
    """A graph of so many launches and externs; `bare` calls its operators alone, once each."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    launches: int
    bare: Call | None = None
    options: dict[str, Any] | None = None


def run(settings: Settings) -> Report:
    """Measure every kind of graph; torch's operators are called as eager code calls them."""
    import torch

    found: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        made = kinds()
        with progress("plan cost", len(made)) as step:
            for name, kind in made.items():
                step(name)
                found[name] = measure(kind, QUICK if settings.quick else FULL)
    return report_of(found, {name: kind.launches for name, kind in made.items()})


def kinds() -> dict[str, Kind]:
    """The graphs. Programs touch three tensors at most where every step is to be a launch."""
    import torch

    x, b = torch.randn(ROWS, WIDTH), torch.randn(WIDTH)
    w = _turning(WIDTH)
    z = [torch.randn(ROWS, WIDTH) for _ in range(4)]
    u, v = torch.randn(4, 8, 8), _turning(8).expand(4, 8, 8).contiguous()
    image, kernel = torch.randn(1, 8, 8, 8), _turning(8)[:, :, None, None].contiguous()
    turns = range(STEPS)

    def launches(x, *z):
        for i in turns:
            x = x + z[i % 4]
        return x

    def addmm(x, w, b):
        for _ in turns:
            x = torch.addmm(b, x, w)
        return x

    def mm(x, w):
        for _ in turns:
            x = torch.mm(x, w)
        return x

    def bmm(u, v):
        for _ in turns:
            u = torch.bmm(u, v)
        return u

    def convolution(image, kernel):
        for _ in turns:
            image = torch.conv2d(image, kernel)
        return image

    def views(x, w):
        for _ in turns:
            x = torch.mm(x.view(WIDTH, ROWS).t(), w)
        return x

    def mixture(x, w, b):
        for _ in range(STEPS // 2):
            x = torch.mm(x, w.t())
            x = torch.relu(x + b).view(ROWS, WIDTH)
        return x

    def bare_mixture() -> None:
        for _ in range(STEPS // 2):
            torch.mm(x, w.t())

    return {
        "launch": Kind(launches, (x, *z), STEPS, options={"max_tensors": 3}),
        "mm": Kind(mm, (x, w), 0, _times(torch.mm, x, w)),
        "addmm": Kind(addmm, (x, w, b), 0, _times(torch.addmm, b, x, w)),
        "bmm": Kind(bmm, (u, v), 0, _times(torch.bmm, u, v)),
        # and two that bring the image into channels-last memory and back
        "convolution": Kind(convolution, (image, kernel), 2, _times(torch.conv2d, image, kernel)),
        "mm of a view": Kind(views, (x, w), 0, _times(torch.mm, x, w)),
        "mixture": Kind(mixture, (x, w, b), STEPS // 2, bare_mixture),
    }


def _turning(width: int) -> Any:
    """A matrix that changes no lengths: a chain of products neither grows nor becomes denormal."""
    import torch

    return torch.linalg.qr(torch.randn(width, width)).Q


def _times(function: Callable[..., Any], *args: Any) -> Call:
    def call() -> None:
        for _ in range(STEPS):
            function(*args)

    return call


def measure(kind: Kind, effort: Effort) -> dict[str, float]:
    """Medians in seconds: the compiled call, the floor under it, and the steps' own work."""
    import torch

    from benchmarks.kernel_list import own_code
    from gint.conductor.records import statistics

    torch._dynamo.reset()
    options = kind.options or {}
    compiled = torch.compile(own_code(kind.function), backend="gint", options=options)
    floor = torch.compile(own_code(kind.function), backend=preallocating)
    compiled(*kind.args)
    record = statistics()[-1]
    if len(record.launches) != kind.launches:
        raise RuntimeError(f"{len(record.launches)} launches where {kind.launches} were meant.")
    floor(*kind.args)
    bound, held = _bound(record.launches)
    calls: dict[str, Call] = {
        "call": partial(compiled, *kind.args), "floor": partial(floor, *kind.args),
        "launches": bound,
    }  # fmt: skip
    if kind.bare:
        calls["operators"] = kind.bare
    found = medians(take_turns(calls, effort))
    del held
    return found


def _bound(launches: Any) -> tuple[Call, list[Any]]:
    """A call that runs the launches one after the other, each on memory of its own; and that."""
    import torch

    held: list[Any] = []
    calls = []
    for launch in launches:
        layout = launch.layouts[-1]
        memory = [torch.zeros(nbytes, dtype=torch.uint8) for nbytes, *_ in layout[2]]
        held += memory
        pointers = [t.data_ptr() for t in memory]
        calls.append(partial(launch.kernel.prepare(*layout), *pointers))

    def call() -> None:
        for launch in calls:
            launch()

    return call, held


def report_of(found: dict[str, dict[str, float]], launches: dict[str, int]) -> Report:
    """Make the table, per step: the call, the floor, own work, and what is beyond both."""
    rows, beyond_us = [], {}
    for name, row in found.items():
        own = row["launches"] + row.get("operators", 0.0)
        beyond = (row["call"] - row["floor"] - own) / STEPS
        beyond_us[name] = beyond * 1e6
        parts = (row["call"] / STEPS, row["floor"] / STEPS, own / STEPS, beyond)
        rows.append([name, *(micros(max(p, 0.0)) if p >= 0 else f"{p * 1e6:.2f}" for p in parts)])
    headers = ["a step", "of the call", "guards and wrapper", "own work", "beyond"]
    table = Table(f"graphs of {STEPS} steps, microseconds a step (medians)", headers, rows)
    externs = [us for name, us in beyond_us.items() if launches[name] < STEPS // 2]
    verdicts = (
        goals.PLAN_LAUNCH.verdict(beyond_us.get("launch", math.nan)),
        goals.PLAN_EXTERN.verdict(max(externs, default=math.nan)),
    )
    return Report("plan_cost", (table,), {"medians_s": found, "beyond_us": beyond_us}, verdicts)
