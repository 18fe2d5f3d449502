"""RMS norm, layer norm, softmax: programs over rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from gint.host.frontend import Builder, Value

from .arrays import Operand, check_rank, check_shape, integer_of, number, take, take_out
from .backend import recalled
from .launches import run


@recalled
def rms_norm(x: Any, weight: Any, eps: float = 1e-6, *, out: Any = None) -> Any:
    """x / sqrt(mean(x**2) + eps) * weight, over the last dimension.

    x       (..., n), float32, float16 or bfloat16; computed in float32
    weight  (n,)
    eps     added to the mean of the squares
    out     (..., n) of x's type, for the result; may be x

    Returns an array like x. Raises TypeError for other types, ValueError for shapes that do not
    match. Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".
    """
    x, weight, eps = take("x", x), take("weight", weight), number("eps", eps)
    _check_rows(x, weight=weight)
    y = take_out(out, x.shape, x)
    if y.array.size:
        run(record_rms_norm, (x, weight, y), 1, (eps,))
    return y.result()


def record_rms_norm(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    n = b.reduced("n")
    x, weight = b.input("x", types[0], *lead, n), b.input("weight", types[1], n)
    mean = b.sum(x * x) / length(b, n)
    scale = b.rsqrt(mean + b.cast(b.param("eps", "f64"), "f32"))
    b.output("y", types[2], (*lead, n), x * scale * weight)


@recalled
def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *, out: Any = None
) -> Any:
    """(x - mean(x)) / sqrt(var(x) + eps) * weight + bias, over the last dimension.

    x       (..., n), float32, float16 or bfloat16; computed in float32
    weight  (n,), or None for 1
    bias    (n,), or None for 0
    eps     added to the variance (the mean of the squared differences, not their n-1st part)
    out     (..., n) of x's type, for the result; may be x

    Returns an array like x. Raises TypeError for other types, ValueError for shapes that do not
    match. Source: Ba, Kiros and Hinton 2016, "Layer Normalization".
    """
    x, eps = take("x", x), number("eps", eps)
    given = {
        name: take(name, value)
        for name, value in (("weight", weight), ("bias", bias))
        if value is not None
    }
    _check_rows(x, **given)
    y = take_out(out, x.shape, x)
    if y.array.size:
        run(_layer_norm, (x, *given.values(), y), 1, (eps,), tuple(given))
    return y.result()


def _layer_norm(b: Builder, lead: tuple[int, ...], types: tuple[str, ...], *given: str) -> None:
    n = b.reduced("n")
    x = b.input("x", types[0], *lead, n)
    rows = {name: b.input(name, type, n) for name, type in zip(given, types[1:-1], strict=True)}
    from_mean = x - b.sum(x) / length(b, n)
    variance = b.sum(from_mean * from_mean) / length(b, n)
    y = from_mean * b.rsqrt(variance + b.cast(b.param("eps", "f64"), "f32"))
    if "weight" in rows:
        y = y * rows["weight"]
    if "bias" in rows:
        y = y + rows["bias"]
    b.output("y", types[-1], (*lead, n), y)


@recalled
def softmax(x: Any, axis: int = -1, *, out: Any = None) -> Any:
    """exp(x - max(x)) / sum(exp(x - max(x))), over one dimension.

    x     any shape of one dimension or more, float32, float16 or bfloat16; computed in float32
    axis  the dimension that adds up to 1
    out   of x's shape and type, for the result; may be x

    Returns an array like x. Raises TypeError for other types, ValueError for an axis that x does
    not have. A row that holds NaN or +inf, or nothing but -inf, gives NaN, as NumPy has it.
    """
    x, axis = take("x", x), integer_of("axis", axis)
    check_rank("x", x, 1)
    if not -x.array.ndim <= axis < x.array.ndim:
        raise ValueError(f"axis {axis} does not exist: x has the shape {x.shape}.")
    y = take_out(out, x.shape, x)
    if y.array.size:
        rows = [Operand(np.moveaxis(o.array, axis, -1), o.type) for o in (x, y)]
        run(_softmax, rows, 1)
    return y.result()


def _softmax(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    n = b.reduced("n")
    x = b.input("x", types[0], *lead, n)
    powers = b.exp(x - b.amax(x))
    b.output("y", types[1], (*lead, n), powers / b.sum(powers))


def length(b: Builder, axis: int) -> Value:
    return b.cast(b.extent(axis), "f32")


def _check_rows(x: Operand, **rows: Operand) -> None:
    check_rank("x", x, 1)
    for name, row in rows.items():
        check_shape(name, row.shape, x.shape[-1:], f", as x has the shape {x.shape}")
