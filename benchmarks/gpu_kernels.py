"""The twelve kernels at 4096 x 4096 on a GPU, the cost of a call, and the first call of models.

Backends take turns in one process; medians. Next to them the device's copy bandwidth, measured in
this run.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks import gpu
from benchmarks.kernel_list import KERNELS, Kernel, compulsory_bytes, own_code
from benchmarks.report import Table, divide, ratio
from gint.measuring.backends import compile_for, why_not
from gint.measuring.clock import geomean, median, take_turns
from gint.measuring.first_call import measure as measure_first_call
from gint.measuring.models import MODELS

ROWS, COLS = 4096, 4096
BACKENDS = ("eager", "gint", "inductor")
ROUNDS = 15


def measure(quick: bool) -> Iterator[gpu.Part]:
    backends = [b for b in BACKENDS if why_not(b, "cuda") is None]
    copy = gpu.copy_bandwidth()
    kernels = [_kernel(kernel, backends, quick) for kernel in KERNELS]
    yield [_kernel_table(kernels, copy)], {"copy_bytes_per_s": copy, "kernels": kernels}
    calls = _calls(quick)
    yield [_call_table(calls)], {"calls_s": calls}
    first = _first_calls(quick)
    yield [_first_table(first)], {"first_call": first}


def _kernel(kernel: Kernel, backends: list[str], quick: bool) -> dict[str, Any]:
    import torch

    torch._dynamo.reset()
    torch.manual_seed(0)
    inputs = tuple(t.cuda() for t in kernel.inputs(ROWS, COLS))
    expected = kernel.function(*(t.double() for t in inputs))
    functions = {}
    for backend in backends:
        function = compile_for(own_code(kernel.function), backend)
        found = function(*inputs)
        torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)
        functions[backend] = partial(function, *inputs)
    return {
        "kernel": kernel.name, "bytes": compulsory_bytes(inputs, expected.float()),
        "samples_s": take_turns(functions, gpu.effort(6 if quick else ROUNDS), gpu.time_batch),
    }  # fmt: skip


def _median(row: dict[str, Any], backend: str) -> float:
    return median(row["samples_s"].get(backend, ()))


def _kernel_table(kernels: list[dict[str, Any]], copy: float) -> Table:
    rows, ratios = [], []
    for row in kernels:
        gint, inductor, eager = (_median(row, b) for b in ("gint", "inductor", "eager"))
        ratios.append(divide(inductor, gint))
        figures = [f"{s * 1e6:.0f}" for s in (gint, inductor, eager)]
        of_copy = divide(row["bytes"], gint) / copy
        rows.append([row["kernel"], *figures, ratio(ratios[-1]), ratio(of_copy)])
    known = [r for r in ratios if not math.isnan(r)]
    rows.append(["geomean", "", "", "", ratio(geomean(known)), ""])
    headers = ["", "gint us", "Inductor us", "eager us", "Inductor / gint", "of copy"]
    return Table(f"{ROWS} x {COLS}, goal 0.95 each; copy {copy / 1e9:,.0f} GB/s", headers, rows)


# Calls: what the host does for a graph of a few small programs


def _small(x: Any, w: Any, v: Any) -> Any:
    import torch

    h = torch.nn.functional.silu(x @ w) * (x @ v)
    return torch.nn.functional.rms_norm(h, h.shape[-1:])


def _calls(quick: bool) -> dict[str, list[float]]:
    """Seconds of a call, from many calls and one synchronisation."""
    import torch

    torch._dynamo.reset()
    inputs = tuple(torch.randn(64, 64, device="cuda") for _ in range(3))
    ways: dict[str, Callable[..., Any]] = {
        "eager": _small,
        "gint": compile_for(own_code(_small), "gint"),
        "gint, cuda_graphs": compile_for(own_code(_small), "gint", options={"cuda_graphs": True}),
    }
    if why_not("inductor", "cuda") is None:
        ways["inductor"] = compile_for(own_code(_small), "inductor")
        ways["inductor, reduce-overhead"] = torch.compile(own_code(_small), mode="reduce-overhead")
    calls = {name: partial(function, *inputs) for name, function in ways.items()}
    for call in calls.values():
        for _ in range(10):
            call()
    return take_turns(calls, gpu.effort(9 if quick else 27), gpu.time_batch)


def _call_table(calls: dict[str, list[float]]) -> Table:
    rows = [[name, f"{median(s) * 1e6:.1f}"] for name, s in calls.items()]
    return Table("a call of two products and one program, microseconds", ["", "us"], rows)


# First calls: fresh processes, empty caches


def _first_calls(quick: bool) -> dict[str, dict[str, list[float]]]:
    rounds = 1 if quick else 2
    models = MODELS[:1] if quick else MODELS
    found: dict[str, dict[str, list[float]]] = {}
    for model in models:
        row: dict[str, list[float]] = {}
        for backend in ("aot_eager", "gint", "inductor"):
            if why_not(backend, "cuda") is not None:
                continue
            for _ in range(rounds):
                got = measure_first_call(model.name, backend, device="cuda")
                if got.failure is None:
                    row.setdefault(backend, []).append(got.first_s)
                    print(f"{model.short}, {backend}: {got.first_s:.2f} s", flush=True)
                else:
                    print(f"{model.short}, {backend}: {got.failure}", file=sys.stderr)
        found[model.short] = row
    return found


def _first_table(first: dict[str, dict[str, list[float]]]) -> Table:
    rows = []
    for model, row in first.items():
        aot, gint, inductor = (median(row.get(b, ())) for b in ("aot_eager", "gint", "inductor"))
        share = divide(gint - aot, inductor - aot)
        rows.append([model, *(f"{s:.2f}" for s in (aot, gint, inductor)), f"{share:.3f}"])
    headers = ["", "aot_eager s", "gint s", "Inductor s", "gint's share / Inductor's"]
    return Table("first call, goal: a share of at most 0.05", headers, rows)


if __name__ == "__main__":
    sys.exit(gpu.run("gpu_kernels", measure, sys.argv[1:]))
