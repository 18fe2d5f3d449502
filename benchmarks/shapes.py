"""Fifty shapes through one function: how often it is compiled, and what the calls take in all.

Sizes from 2 up, the first call not square, one square later. Each backend and mode in a fresh
process; compiles are counted by a backend that wraps the one under test.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, seconds
from benchmarks.settings import SUBJECT, Settings
from gint.measuring.backends import compile_for, title_of
from gint.measuring.process import run_child
from gint.measuring.progress import progress

COUNT = 50
MODES: dict[str, bool | None] = {"dynamic=True": True, "automatic": None}
COMPILERS = ("aot_eager", SUBJECT, "inductor")


def shapes() -> list[tuple[int, int]]:
    """Return the fifty shapes, always the same ones, all different."""
    draw = random.Random(0)
    found = [(6, 10), (17, 64), (2, 300), (33, 2), (24, 24)]
    while len(found) < COUNT:
        shape = (draw.randint(2, 200), draw.randint(2, 512))
        if shape not in found:
            found.append(shape)
    return found


def run(settings: Settings) -> Report:
    """Run every backend in both modes."""
    backends = settings.usable(COMPILERS)
    found: dict[str, dict[str, Any]] = {mode: {} for mode in MODES}
    turns = [(mode, backend) for mode in MODES for backend in backends]
    with progress("shapes", len(turns)) as step:
        for mode, backend in turns:
            step(f"{title_of(backend)}, {mode}")
            found[mode][backend] = run_child(
                "benchmarks.shapes", backend, mode, str(settings.threads)
            )
    return report_of(found)


def report_of(found: dict[str, dict[str, Any]]) -> Report:
    """Make the table from {mode: {backend: {compiles, unique_graphs, calls_s}}}."""
    rows = [
        [
            f"{title_of(backend)}, {mode}",
            str(got["compiles"]),
            seconds(sum(got["calls_s"])),
            f"{max(got['calls_s'][1:]) * 1e3:.1f}",
        ]
        for mode, row in found.items()
        for backend, got in row.items()
    ]
    headers = ["", "compiles", "fifty calls, s", "slowest after the first, ms"]
    table = Table(f"{COUNT} shapes through one function", headers, rows)
    compiles = {
        m: float(row.get(SUBJECT, {}).get("compiles", math.nan)) for m, row in found.items()
    }
    notes = (
        goals.COMPILES_DYNAMIC.verdict(compiles["dynamic=True"]),
        goals.COMPILES_AUTOMATIC.verdict(compiles["automatic"]),
    )
    return Report("shapes", (table,), {"shapes": shapes(), "runs": found}, notes)


class Counted:
    """A torch.compile backend that counts how often it is asked, and asks another."""

    def __init__(self, backend: str) -> None:
        """`backend` is a name that torch knows."""
        from torch._dynamo import lookup_backend

        self.compiles = 0
        self._inner = lookup_backend(backend)

    def __call__(self, graph: Any, inputs: list[Any], **options: Any) -> Any:
        """Count, and pass on."""
        self.compiles += 1
        return self._inner(graph, inputs, **options)


def child(result: Path, backend: str, mode: str, threads: int) -> None:
    """Call one function with the fifty shapes and write what that took."""
    import torch
    import torch._dynamo
    from torch._dynamo.utils import counters

    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    inputs = [(torch.randn(rows, columns), torch.randn(columns)) for rows, columns in shapes()]
    _norm_and_gelu(*inputs[0])
    start = time.perf_counter()
    if backend == SUBJECT:
        compile_for(_norm_and_gelu, backend)  # registers it; importing it is part of the first call
    counted = Counted(backend)
    compiled = torch.compile(_norm_and_gelu, backend=counted, dynamic=MODES[mode])
    calls_s = []
    for x, weight in inputs:
        got = compiled(x, weight)
        now = time.perf_counter()
        calls_s.append(now - start)
        torch.testing.assert_close(got, _norm_and_gelu(x, weight))
        start = time.perf_counter()
    found = {
        "compiles": counted.compiles,
        "unique_graphs": counters["stats"]["unique_graphs"],
        "calls_s": calls_s,
    }
    result.write_text(json.dumps(found), encoding="utf-8")


def _norm_and_gelu(x: Any, weight: Any) -> Any:
    """Scale rows of x (rows, columns) to unit root mean square, weigh them, gelu, and add x."""
    import torch

    scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    return torch.nn.functional.gelu(x * scale * weight) + x


if __name__ == "__main__":
    child(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
