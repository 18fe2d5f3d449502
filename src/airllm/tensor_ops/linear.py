"""Dense products, by the active backend or the BLAS at hand, and the feed-forward layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gint.host.frontend import Builder

from .activations import gated
from .arrays import Operand, beside, check_rank, check_shape, empty, take, take_out
from .backend import active
from .dense import multiplier
from .launches import run

#: Names of `feed_forward`'s activations -> those of airllm.tensor_ops.activations.
_ACTIVATIONS = {"silu": "silu", "gelu": "gelu", "relu": "relu"}


def matmul_f32(x: Any, weight: Any, *, out: Any = None) -> Any:
    """x @ weight, in float32.

    x       (..., in), float32, float16 or bfloat16
    weight  (in, out), likewise
    out     (..., out) of x's type, for the result; must not share memory with x or weight

    Returns (..., out), an array like x. Raises TypeError for other types, ValueError for shapes
    that do not match.
    """
    x, weight = take("x", x), take("weight", weight)
    check_rank("x", x, 1)
    _check_weight("weight", weight, x, f", (in, out): x has the shape {x.shape}")
    y = take_out(out, (*x.shape[:-1], weight.shape[1]), x)
    refuse_overlap(y, x=x, weight=weight)
    if y.type == "f32":
        product(x.array, weight.float32(), out=y.array)
    else:
        store(y, product(x.float32(), weight.float32()))
    return y.result()


def feed_forward(
    x: Any, w1: Any, w2: Any, w3: Any, activation: str = "silu", *, out: Any = None
) -> Any:
    """(activation(x @ w1) * (x @ w3)) @ w2: SwiGLU with "silu", GeGLU with "gelu".

    x           (..., dim), float32, float16 or bfloat16; computed in float32
    w1, w3      (dim, hidden)
    w2          (hidden, dim_out)
    activation  "silu", "gelu" (by tanh) or "relu"
    out         (..., dim_out) of x's type, for the result

    Returns (..., dim_out), an array like x. Raises TypeError for other types, ValueError for
    shapes that do not match or another activation. Source: Shazeer 2020, "GLU Variants Improve
    Transformer".
    """
    if activation not in tuple(_ACTIVATIONS):
        allowed = ", ".join(map(repr, _ACTIVATIONS))
        raise ValueError(f"activation must be one of {allowed}, not {activation!r}.")
    x, w1, w2, w3 = take("x", x), take("w1", w1), take("w2", w2), take("w3", w3)
    check_rank("x", x, 1)
    _check_weight("w1", w1, x, f", (dim, hidden): x has the shape {x.shape}")
    check_shape("w3", w3.shape, w1.shape, ", as w1 has")
    check_rank("w2", w2, 2, 2)
    wanted = (w1.shape[1], w2.shape[1])
    check_shape("w2", w2.shape, wanted, f", (hidden, dim_out): w1 has the shape {w1.shape}")
    y = take_out(out, (*x.shape[:-1], w2.shape[1]), x)
    values = x.float32()
    gate, up = (Operand(product(values, w.float32()), "f32") for w in (w1, w3))
    gated(gate, up, _ACTIVATIONS[activation])
    store(y, product(gate.array, w2.float32()))
    return y.result()


def product(a: Any, b: Any, out: Any = None) -> Any:
    """a @ b for float32 arrays, by the active backend or the library of where they lie.

    A BLAS with threads of its own leaves them spinning for some 25 ms after each product, on the
    cores that the next launch's threads wait for: what a backend multiplies itself it is asked for.
    """
    b = beside(b, a)
    on_host = isinstance(a, np.ndarray)
    multiply = multiplier(active()) if on_host else None
    if multiply is not None and out is None:
        return multiply(a, b)
    if out is None:
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *a.shape[-2:-1], b.shape[-1])
        out = empty(shape, a.dtype, a)
    if multiply is not None:
        out[...] = multiply(a, b)
    elif not (on_host and _multiplied_by_backend(a, b, out)):
        np.matmul(a, b, out=out)
    return out


def _multiplied_by_backend(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> bool:
    """Whether the active backend has products for such matrices, and wrote this one to out."""
    dense = active().dense
    if dense is None or out.ndim < 2:
        return False
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous and out.flags.c_contiguous:
        a, out = (m.reshape(math.prod(m.shape[:-1]), m.shape[-1]) for m in (a, out))
    return dense.multiply(a, b, None, out)


def store(result: Operand, values: Any) -> None:
    """Put float32 values into a result of any type."""
    if result.type == "f32":
        result.array[...] = values
    elif values.size:
        run(record_conversion, (Operand(values, "f32"), result))


def refuse_overlap(y: Operand, out: str = "out", **operands: Operand) -> None:
    """Raises ValueError where the result called `out` would be written over what is still read."""
    for name, operand in operands.items():
        if _share_memory(y.array, operand.array):
            raise ValueError(f"{out} shares memory with {name}; it needs memory of its own.")


def _share_memory(a: Any, b: Any) -> bool:
    """Whether two arrays have an element's memory in common; True where that is hard to tell."""
    if isinstance(a, np.ndarray) != isinstance(b, np.ndarray):
        return False  # one lies on a GPU
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))  # type: ignore[arg-type]  # stubs
    except np.exceptions.TooHardError:
        return True


def record_conversion(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    b.output("y", types[1], lead, b.input("x", types[0], *lead))


def _check_weight(name: str, weight: Operand, x: Operand, why: str) -> None:
    check_rank(name, weight, 2, 2)
    check_shape(name, weight.shape, (x.shape[-1], weight.shape[1]), why)
