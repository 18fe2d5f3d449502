"""What a call costs: a one-program graph, beside a backend that returns a preallocated tensor.

The smallest of several medians: the cost of the path, without what the machine did meanwhile.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, micros
from benchmarks.settings import SUBJECT, Settings
from gint.measuring.backends import compile_for, title_of
from gint.measuring.clock import Call, Effort, median, take_turns
from gint.measuring.progress import progress

FLOOR = "preallocated"
SHAPE = (32, 32)


def run(settings: Settings) -> Report:
    """Measure every backend in turn, several times over, and report the smallest medians."""
    import torch

    repetitions = 3 if settings.quick else 9
    medians: dict[str, list[float]] = {}
    x, y = torch.randn(SHAPE), torch.randn(SHAPE)
    calls = compile_all(x, y, settings)
    with progress("call cost", repetitions) as step:
        for i in range(repetitions):
            step(f"repetition {i + 1}")
            for name, got in take_turns(calls, Effort(rounds=9, batch_s=5e-3)).items():
                medians.setdefault(name, []).append(median(got))
    return report_of(medians)


def compile_all(x: Any, y: Any, settings: Settings) -> dict[str, Call]:
    """Return a call of the same graph for every backend, each with a code object of its own."""
    import torch

    from benchmarks.kernel_list import own_code

    def graph(x, y):
        return x + 2 * y

    torch._dynamo.reset()
    compiled = {b: compile_for(own_code(graph), b) for b in settings.usable()}
    compiled[FLOOR] = torch.compile(own_code(graph), backend=preallocating)
    calls: dict[str, Call] = {name: partial(f, x, y) for name, f in compiled.items()}
    for call in calls.values():
        call()
    return calls


def preallocating(graph: Any, inputs: list[Any]) -> Any:
    """Compile, as a torch.compile backend, into handing out one tensor that exists already."""
    result = graph(*inputs)
    return lambda *_: result


def report_of(medians: dict[str, list[float]]) -> Report:
    """Make the table from seconds, one median a repetition."""
    best = {name: min(values) for name, values in medians.items()}
    floor = best[FLOOR]
    rows = [[title_of(n), micros(v), micros(v - floor)] for n, v in best.items()]
    headers = ["", "microseconds", f"beyond {FLOOR}"]
    table = Table(f"call of x + 2y at {SHAPE[0]}x{SHAPE[1]} (smallest median)", headers, rows)
    beyond_us = (best.get(SUBJECT, math.nan) - floor) * 1e6
    data = {"medians_s": medians, "smallest_s": best, "gint_beyond_us": beyond_us}
    return Report("call_cost", (table,), data, (goals.CALL_COST.verdict(beyond_us),))
