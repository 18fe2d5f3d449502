"""The first call of a workload on a backend, and those after it, in a process of its own.

The clock of the first call starts after `import torch, torch._dynamo`, after the model is built
and after one eager call; what the backend imports, traces and compiles is inside it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import field
from pathlib import Path
from typing import Any

from gint.dataclass import frozen
from gint.measuring.backends import NAMES, compile_for
from gint.measuring.clock import median, time_calls
from gint.measuring.models import BY_NAME
from gint.measuring.process import ProcessError, peak_bytes, run_child


@frozen
class Measurement:
    """One workload on one backend in one fresh process; `failure` says why there are no numbers.

    `peak_bytes` is the most memory the process itself ever had resident, from its start on.
    """

    workload: str
    backend: str
    first_s: float = float("nan")
    calls_s: tuple[float, ...] = ()
    difference: float = float("nan")
    threads: int = 0
    peak_bytes: int = 0
    statistics: tuple[dict[str, Any], ...] = field(default=())
    failure: str | None = None

    @property
    def steady_s(self) -> float:
        """Median of the later half of the calls: the first few still warm caches and allocators."""
        return median(self.calls_s[len(self.calls_s) // 2 :])


def measure(
    workload: str,
    backend: str,
    *,
    device: str = "cpu",
    threads: int = 0,
    calls: int = 0,
    seconds: float = 5.0,
    prewarm: bool = False,
) -> Measurement:
    """Run one measurement in a fresh process whose compile caches are empty and then deleted."""
    options = (
        f"--device={device}",
        f"--threads={threads}",
        f"--calls={calls}",
        f"--seconds={seconds}",
        *(["--prewarm"] if prewarm else []),
    )
    try:
        row = run_child(__name__, workload, backend, *options)
    except ProcessError as error:
        return Measurement(workload, backend, failure=error.reason)
    return Measurement(
        workload,
        backend,
        row["first_s"],
        tuple(row["calls_s"]),
        row["difference"],
        row["threads"],
        row["peak_bytes"],
        tuple(row["statistics"]),
    )


# The process itself


def main() -> None:
    """Measure what the command line asks for and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("workload", choices=sorted(BY_NAME))
    parser.add_argument("backend", choices=NAMES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--calls", type=int, default=0, help="calls after the first, at most")
    parser.add_argument("--seconds", type=float, default=5.0, help="time for them, at most")
    parser.add_argument("--prewarm", action="store_true", help="compile something else before")
    options = parser.parse_args()
    options.result.write_text(json.dumps(_measure_here(options)), encoding="utf-8")


def _measure_here(options: argparse.Namespace) -> dict[str, Any]:
    """Build, call eagerly once, then time the first and the following calls."""
    import torch
    import torch._dynamo

    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    built = BY_NAME[options.workload].build(options.device)
    wait = torch.cuda.synchronize if options.device.startswith("cuda") else _nothing
    with torch.no_grad():
        expected = built.call(built.function)
        wait()
        if options.prewarm:
            _compile_something_else(options.backend, options.device)
        start = time.perf_counter()
        compiled = compile_for(built.function, options.backend)
        got = built.call(compiled)
        wait()
        first_s = time.perf_counter() - start
        difference = (got.double() - expected.double()).abs().max().item()
        calls_s = time_calls(
            lambda: (built.call(compiled), wait()), options.seconds, most=options.calls
        )
    return {
        "first_s": first_s,
        "calls_s": calls_s,
        "difference": difference,
        "threads": torch.get_num_threads(),
        "peak_bytes": peak_bytes(),
        "statistics": _statistics() if options.backend == "gint" else [],
    }


def _statistics() -> list[dict[str, Any]]:
    """Return what gint recorded about each graph it compiled in this process."""
    import gint.conductor

    return [
        {
            "programs": record.programs,
            "instructions": record.instructions,
            "externs": dict(record.externs),
            "fallbacks": [[str(f.node), str(f.op), f.reason] for f in record.fallbacks],
        }
        for record in gint.conductor.statistics()
    ]


def _compile_something_else(backend: str, device: str) -> None:
    """Compile a small function, so that what a process pays once is paid."""
    import torch

    def other(x, w):
        return torch.softmax(torch.nn.functional.gelu(x @ w), -1).sum()

    compile_for(other, backend)(
        torch.randn(8, 24, device=device), torch.randn(24, 40, device=device)
    )


def _nothing() -> None:
    """There is nothing to wait for on a CPU."""


if __name__ == "__main__":
    main()
