"""The operations of airllm.tensor_ops on the backend in effect, beside NumPy and torch eager.

Every call makes a fresh result and drops it. The NumPy side is the expression that people write.
torch is compared where it is installed.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks import goals
from benchmarks.report import Report, Table, divide, micros, ratio
from benchmarks.settings import Settings
from gint.measuring.clock import Call, Effort, Samples, median, take_turns
from gint.measuring.progress import progress

SIZES = ((128, 4096), (2048, 4096))
SUBJECT = "tensor_ops"
FULL = Effort(rounds=25, batch_s=2e-3, budget_s=1.0)
QUICK = Effort(rounds=9, batch_s=1e-3, budget_s=0.2)

RMS_EPS = 1e-6


def _rms_norm(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + RMS_EPS) * w


def _silu(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def _gelu(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def _softmax(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


#: Operation -> the NumPy expression for it, of x and a row of weights.
NUMPY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "rms_norm": _rms_norm, "silu": _silu, "gelu": _gelu, "softmax": _softmax,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One operation at one size: the samples of each contender, seconds per call."""

    operation: str
    shape: tuple[int, int]
    samples_s: Samples = field(default_factory=dict)

    def median_s(self, contender: str) -> float:
        """The median, NaN for a contender that did not take part."""
        return median(self.samples_s.get(contender, ()))

    def over(self, contender: str) -> float:
        """How many times as long as the operation the contender takes."""
        return divide(self.median_s(contender), self.median_s(SUBJECT))


def run(settings: Settings) -> Report:
    """Measure every operation at both sizes."""
    from airllm import tensor_ops

    effort = QUICK if settings.quick else FULL
    cases: list[Case] = []
    with progress("tensor_ops", len(SIZES) * len(NUMPY)) as step:
        for shape in SIZES:
            for operation in NUMPY:
                step(f"{operation}, {shape[0]}x{shape[1]}")
                cases.append(measure(operation, shape, effort))
    return report_of(cases, tensor_ops.get_backend_info())


def measure(operation: str, shape: tuple[int, int], effort: Effort) -> Case:
    """Time one operation beside NumPy and torch, which must agree with it."""
    random = np.random.default_rng(0)
    x = random.standard_normal(shape, np.float32)
    w = random.standard_normal(shape[1], np.float32)
    calls = _calls(operation, x, w)
    expected = calls["numpy"]()
    for call in calls.values():
        np.testing.assert_allclose(np.asarray(call()), expected, rtol=1e-4, atol=1e-5)
    return Case(operation, shape, take_turns(calls, effort))


def _calls(operation: str, x: np.ndarray, w: np.ndarray) -> dict[str, Call]:
    from airllm import tensor_ops

    function, expression = getattr(tensor_ops, operation), NUMPY[operation]
    arguments = (x, w) if operation == "rms_norm" else (x,)
    calls: dict[str, Call] = {
        SUBJECT: lambda: function(*arguments),
        "numpy": lambda: expression(x, w),
    }
    if importlib.util.find_spec("torch"):
        calls["torch"] = _torch_call(operation, x, w)
    return calls


def _torch_call(operation: str, x: np.ndarray, w: np.ndarray) -> Call:
    import torch
    import torch.nn.functional as f

    tx, tw = torch.from_numpy(x), torch.from_numpy(w)
    calls: dict[str, Call] = {
        "rms_norm": lambda: f.rms_norm(tx, tw.shape, tw, RMS_EPS),
        "silu": lambda: f.silu(tx),
        "gelu": lambda: f.gelu(tx, approximate="tanh"),
        "softmax": lambda: f.softmax(tx, -1),
    }
    return calls[operation]


def report_of(cases: list[Case], info: dict[str, Any]) -> Report:
    """The table, and verdicts where the backend is the one that the goals are for."""
    rows = [
        [
            f"{c.operation} ({c.shape[0]}, {c.shape[1]})",
            *(micros(c.median_s(name)) for name in ("numpy", "torch", SUBJECT)),
            *(ratio(c.over(name)) for name in ("numpy", "torch")),
        ]
        for c in cases
    ]
    headers = ["microseconds", "NumPy", "torch eager", info["backend"]]
    headers += [f"NumPy / {info['backend']}", f"torch / {info['backend']}"]
    title = f"airllm.tensor_ops on {info['backend']} ({info['device']})"
    notes = []
    if info["backend"] == goals.TENSOR_OPS_BACKEND:
        notes = [goals.TENSOR_OPS[c.operation, c.shape].verdict(c.over("numpy")) for c in cases]
        worst = min((c.over("torch") for c in cases), default=math.nan)
        notes.append(goals.TENSOR_OPS_TORCH.verdict(worst))
    data = {
        "backend": info["backend"],
        "device": info["device"],
        "cases": [
            {
                "operation": c.operation,
                "shape": list(c.shape),
                "samples_s": c.samples_s,
                "medians_s": {name: c.median_s(name) for name in c.samples_s},
            }
            for c in cases
        ],
    }
    return Report("tensor_ops", (Table(title, headers, rows),), data, tuple(notes))
