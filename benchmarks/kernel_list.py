"""The twelve kernels: inputs for a size, the function, and its numexpr form where there is one.

A size is (rows, cols); every kernel's result, or what it reads, has rows * cols elements.
Compulsory bytes are each input read once and each result written once.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SIZES: dict[str, tuple[int, int]] = {
    "small": (32, 32),
    "medium": (256, 1024),
    "large": (4096, 4096),
}
CHAIN = tuple(0.5 + k / 64 for k in range(25))


@dataclass(frozen=True)
class Kernel:
    """One kernel; `inputs(rows, cols)` makes float32 tensors, `numexpr` names them a, b, ..."""

    name: str
    inputs: Callable[[int, int], tuple[Any, ...]]
    function: Callable[..., Any]
    numexpr: str | None = None


def own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy with a code object of its own, since Dynamo keeps compiled entries by it."""
    return types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def writing_into(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f(out, *inputs)` that overwrites `out`.

    `out.copy_(expression)` inside the compiled function is what every backend can fuse: Inductor's
    code for each of the twelve is one kernel that stores into `out` itself, with temporaries for
    the statistics of rows alone; an `out=` argument would reach the last operator only. Eager has
    no such road: it computes and copies.
    """

    def into(out, *inputs):
        out.copy_(function(*inputs))

    return into


def compulsory_bytes(inputs: tuple[Any, ...], result: Any) -> int:
    """Return the bytes that must move: every input once, the result once."""
    return sum(t.numel() * t.element_size() for t in (*inputs, result))


def _one(rows: int, cols: int) -> tuple[Any, ...]:
    import torch

    return (torch.randn(rows, cols),)


def _two(rows: int, cols: int) -> tuple[Any, ...]:
    return _one(rows, cols) + _one(rows, cols)


def _weighted(rows: int, cols: int) -> tuple[Any, ...]:
    import torch

    return (torch.randn(rows, cols), torch.randn(cols))


def _affine(rows: int, cols: int) -> tuple[Any, ...]:
    import torch

    return (*_weighted(rows, cols), torch.randn(cols))


def _mixed(rows: int, cols: int) -> tuple[Any, ...]:
    """(B, 1, D) and (T, D) with B * T = rows."""
    import torch

    batch = {32: 4, 256: 8, 4096: 32}[rows]
    return torch.randn(batch, 1, cols), torch.randn(rows // batch, cols)


def _chain(x, y):
    for factor in CHAIN:
        x = x * factor + y
    return x


def _chain_numexpr() -> str:
    """Return the chain as numexpr says it; f0, f1, ... are float32, a literal would promote."""
    text = "a"
    for k in range(len(CHAIN)):
        text = f"({text} * f{k} + b)"
    return text


def _gelu_tanh(x):
    import torch

    return torch.nn.functional.gelu(x, approximate="tanh")


def _gelu_erf(x):
    import torch

    return torch.nn.functional.gelu(x)


def _silu_mul(x, y):
    import torch

    return torch.nn.functional.silu(x) * y


def _softmax(x):
    import torch

    return torch.softmax(x, -1)


def _layer_norm(x, weight, bias):
    import torch

    return torch.nn.functional.layer_norm(x, weight.shape, weight, bias)


def _rms_norm(x, weight):
    import torch

    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


def _axpy(x, y):
    return x + 2 * y


def _sum(x):
    return x.sum()


def _sum_rows(x):
    return x.sum(0)


def _transpose(x):
    return x.t().contiguous()


def _add(x, y):
    return x + y


KERNELS: tuple[Kernel, ...] = (
    Kernel("x + 2y", _two, _axpy, "a + two * b"),
    Kernel("50-op chain", _two, _chain, _chain_numexpr()),
    Kernel("gelu tanh", _one, _gelu_tanh, "half * a * (one + tanh(k0 * (a + k1 * a * a * a)))"),
    Kernel("gelu erf", _one, _gelu_erf),
    Kernel("silu * mul", _two, _silu_mul, "a / (one + exp(-a)) * b"),
    Kernel("softmax", _one, _softmax),
    Kernel("layer norm", _affine, _layer_norm),
    Kernel("RMS norm", _weighted, _rms_norm),
    Kernel("full sum", _one, _sum, "sum(a)"),
    Kernel("sum over dim 0", _one, _sum_rows, "sum(a, axis=0)"),
    Kernel("transpose copy", _one, _transpose),
    Kernel("mixed broadcast", _mixed, _add, "a + b"),
)
CONSTANTS: dict[str, float] = {
    "two": 2.0,
    "half": 0.5,
    "one": 1.0,
    "k0": 0.7978845608028654,
    "k1": 0.044715,
    **{f"f{k}": factor for k, factor in enumerate(CHAIN)},
}
