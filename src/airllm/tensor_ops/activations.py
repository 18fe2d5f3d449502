"""SiLU and GELU, alone and as the gate of a feed-forward layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gint.host.frontend import Builder, Value

from .arrays import Operand, take, take_out
from .backend import recalled
from .launches import run


@recalled
def silu(x: Any, *, out: Any = None) -> Any:
    """x / (1 + exp(-x)).

    x    any shape, float32, float16 or bfloat16; computed in float32
    out  of x's shape and type, for the result; may be x

    Returns an array like x. Raises TypeError for other types. Source: Elfwing, Uchibe and Doya
    2017, "Sigmoid-weighted linear units".
    """
    return _activate(x, out, "silu")


@recalled
def gelu(x: Any, approximate: str = "tanh", *, out: Any = None) -> Any:
    """x times the normal distribution's cumulative function.

    x            any shape, float32, float16 or bfloat16; computed in float32
    approximate  "tanh":  x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))
                 "none":  x / 2 * (1 + erf(x / sqrt(2)))
    out          of x's shape and type, for the result; may be x

    Returns an array like x. Raises TypeError for other types, ValueError for another
    approximation. Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units".
    """
    if approximate not in ("tanh", "none"):
        raise ValueError(f"approximate must be 'tanh' or 'none', not {approximate!r}.")
    return _activate(x, out, "gelu" if approximate == "tanh" else "gelu_erf")


def gated(gate: Operand, up: Operand, activation: str) -> None:
    """gate <- activation(gate) * up."""
    if gate.array.size:
        run(record_gate, (gate, up, gate), choices=(activation,))


def _activate(x: Any, out: Any, activation: str) -> Any:
    x = take("x", x)
    y = take_out(out, x.shape, x)
    if y.array.size:
        run(_pointwise, (x, y), choices=(activation,))
    return y.result()


def _silu(b: Builder, x: Value) -> Value:
    return x * b.sigmoid(x)


def _gelu(b: Builder, x: Value) -> Value:
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1 + b.tanh(inner))


def _gelu_erf(b: Builder, x: Value) -> Value:
    return 0.5 * x * (1 + b.erf(x * math.sqrt(0.5)))


def _relu(b: Builder, x: Value) -> Value:
    return b.maximum(x, 0.0)


#: Name -> what it records.
ACTIVATIONS: dict[str, Callable[[Builder, Value], Value]] = {
    "silu": _silu, "gelu": _gelu, "gelu_erf": _gelu_erf, "relu": _relu,
}  # fmt: skip


def _pointwise(b: Builder, lead: tuple[int, ...], types: tuple[str, ...], name: str) -> None:
    x = b.input("x", types[0], *lead)
    b.output("y", types[1], lead, ACTIVATIONS[name](b, x))


def record_gate(b: Builder, lead: tuple[int, ...], types: tuple[str, ...], name: str) -> None:
    gate, up = b.input("gate", types[0], *lead), b.input("up", types[1], *lead)
    b.output("y", types[2], lead, ACTIVATIONS[name](b, gate) * up)
