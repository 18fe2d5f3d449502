"""Twelve kernels at three sizes, the result dropped, held, or written into an existing tensor.

Backends take turns in one process; medians of rounds. The machine's bandwidth is measured beside
every large kernel.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Callable
from typing import Any

from benchmarks.bandwidth import Bandwidth
from benchmarks.kernel_list import (
    CONSTANTS,
    KERNELS,
    SIZES,
    Kernel,
    compulsory_bytes,
    own_code,
    writing_into,
)
from benchmarks.kernels_report import NUMEXPR, Case, report_of
from benchmarks.report import Report
from benchmarks.settings import Settings
from gint.measuring.backends import compile_for
from gint.measuring.clock import Call, Effort, take_turns
from gint.measuring.progress import progress

BACKENDS = ("eager", "gint", "inductor")
HELD = 4
FULL = Effort(rounds=15, batch_s=2e-3, budget_s=0.8)
QUICK = Effort(rounds=7, batch_s=1e-3, budget_s=0.25)


def run(settings: Settings) -> Report:
    """Measure every kernel at every size and report."""
    import torch

    effort = QUICK if settings.quick else FULL
    bandwidth = Bandwidth(torch.get_num_threads())
    cases: list[Case] = []
    with progress("kernels", len(KERNELS) * len(SIZES)) as step:
        for size, (rows, cols) in SIZES.items():
            for kernel in KERNELS:
                step(f"{kernel.name}, {rows}x{cols}")
                case = measure(kernel, size, settings, effort)
                if size == "large":
                    case.bandwidth.update(bandwidth.measure(0.08))
                cases.append(case)
    return report_of(cases)


def measure(kernel: Kernel, size: str, settings: Settings, effort: Effort) -> Case:
    """Compile one kernel at one size for every backend; time them in each of the three regimes."""
    import torch

    torch._dynamo.reset()
    torch.manual_seed(0)
    inputs = kernel.inputs(*SIZES[size])
    expected = kernel.function(*inputs)
    case = Case(kernel.name, size, compulsory_bytes(inputs, expected))
    fresh, into = functions_of(kernel, inputs, expected, settings.usable(BACKENDS))
    for function in fresh.values():
        torch.testing.assert_close(
            torch.as_tensor(function()), expected, rtol=1e-3, atol=1e-3, check_dtype=False
        )
    regimes = {"dropped": fresh, "held": {n: _holding(f) for n, f in fresh.items()}, "into": into}
    for regime, calls in regimes.items():
        case.samples_s[regime] = take_turns(calls, effort)
    return case


def functions_of(
    kernel: Kernel, inputs: tuple[Any, ...], expected: Any, backends: tuple[str, ...]
) -> tuple[dict[str, Call], dict[str, Call]]:
    """Return per backend a call with a fresh result, and one that overwrites its own tensor."""
    import torch

    fresh, into = {}, {}
    for backend in backends:
        function = compile_for(own_code(kernel.function), backend)
        writer = compile_for(own_code(writing_into(kernel.function)), backend)
        out = torch.empty_like(expected)
        fresh[backend] = _bind(function, *inputs)
        into[backend] = _bind(writer, out, *inputs)
        into[backend]()
        torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-3)
    if kernel.numexpr and importlib.util.find_spec(NUMEXPR):
        fresh[NUMEXPR], into[NUMEXPR] = _numexpr(kernel.numexpr, inputs, expected)
    return fresh, into


def _bind(function: Callable[..., Any], *arguments: Any) -> Call:
    return lambda: function(*arguments)


def _holding(function: Call) -> Call:
    """Return a call that keeps the last `HELD` results alive, as a caller does who runs for long.

    The memory of one result more is in circulation then: what is timed is not its first use.
    """
    held: deque[Any] = deque((function() for _ in range(HELD + 1)), maxlen=HELD)
    return lambda: held.append(function())


def _numexpr(expression: str, inputs: tuple[Any, ...], expected: Any) -> tuple[Call, Call]:
    """Return numexpr's two calls on the same memory, with torch's number of threads."""
    import numexpr
    import numpy
    import torch

    numexpr.set_num_threads(torch.get_num_threads())
    names = {name: tensor.numpy() for name, tensor in zip("abc", inputs, strict=False)}
    names |= {name: numpy.float32(value) for name, value in CONSTANTS.items() if name in expression}
    out = numpy.empty(expected.shape, numpy.float32)
    evaluate = numexpr.evaluate
    return (
        lambda: evaluate(expression, local_dict=names, global_dict={}),
        lambda: evaluate(
            expression, local_dict=names, global_dict={}, out=out, casting="same_kind"
        ),
    )
