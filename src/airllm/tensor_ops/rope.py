"""Rotary position embedding."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from gint.host.frontend import Builder

from .arrays import (
    Operand,
    beside,
    check_rank,
    check_shape,
    integer_of,
    number,
    on_host,
    take,
    take_out,
    view,
)
from .launches import run
from .linear import refuse_overlap

#: What `scaling` of type "llama3" must say, as in a Hugging Face configuration.
_LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")


def apply_rope(
    q: Any, k: Any, pos: Any, head_dim: int, rope_theta: float = 10000.0, *,
    interleaved: bool = True, scaling: Mapping[str, Any] | None = None, out: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Rotate pairs of each head's values by their position times the pair's frequency.

    q            (..., seq, n_heads * head_dim), float32, float16 or bfloat16; computed in float32
    k            (..., seq, n_kv_heads * head_dim), likewise
    pos          the position of the first row, the others follow; or (seq,) integers, one a row
    head_dim     even; pair i of head_dim / 2 has the frequency rope_theta ** (-2 * i / head_dim)
    interleaved  True: the pairs are values (2i, 2i + 1), as in Llama's own code and GGUF files.
                 False: values (i, i + head_dim / 2), as in Hugging Face's code.
    scaling      None, or Llama 3.1's: {"rope_type": "llama3", "factor": 8.0, "low_freq_factor":
                 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    out          (q's, k's) arrays for the results; may be q and k, in this order

    Returns (q, k), arrays like them. Angles are computed in float64. Raises TypeError for other
    types, ValueError for shapes and values that do not match. Source: Su et al. 2021, "RoFormer";
    the frequency scaling is that of Llama 3.1's reference implementation.
    """
    q, k = take("q", q), take("k", k)
    head_dim = integer_of("head_dim", head_dim)
    half = _half(head_dim)
    if out is not None and not (isinstance(out, (tuple, list)) and len(out) == 2):
        raise TypeError("out must be a pair, the arrays for q's and k's results.")
    for name, rows in (("q", q), ("k", k)):
        check_rank(name, rows, 2)
        if rows.shape[-1] % head_dim:
            raise ValueError(
                f"{name} has the shape {rows.shape}; its last dimension must be a multiple of "
                f"head_dim, {head_dim}."
            )
    check_shape("k", k.shape[:-1], q.shape[:-1], " before the last dimension, as q has")
    positions = _positions(pos, q.shape[-2])
    frequencies = frequencies_of(half, rope_theta, scaling)
    outs = (None, None) if out is None else out
    results = [take_out(o, x.shape, x) for o, x in zip(outs, (q, k), strict=True)]
    if out is not None:  # q's result is written before k is read
        refuse_overlap(results[0], "out[0]", k=k)
        refuse_overlap(results[1], "out[1]", **{"out[0]": results[0]})
    angles = positions[:, None] * frequencies
    tables = [beside(f(angles).astype(np.float32)[:, None], q.array) for f in (np.cos, np.sin)]
    for x, y in zip((q, k), results, strict=True):
        if y.array.size:
            pairs = [*_pairs(x, half, interleaved), *_pairs(y, half, interleaved)]
            wide = [Operand(np.broadcast_to(t, pairs[0].shape), "f32") for t in tables]
            run(record_rotation, (*pairs[:2], *wide, *pairs[2:]))
    return results[0].result(), results[1].result()


def record_rotation(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    names = ("first", "second", "cos", "sin")
    first, second, cos, sin = (b.input(n, t, *lead) for n, t in zip(names, types, strict=False))
    b.output("rotated_first", types[4], lead, first * cos - second * sin)
    b.output("rotated_second", types[5], lead, first * sin + second * cos)


def _pairs(x: Operand, half: int, interleaved: bool) -> list[Operand]:
    """The first and the second values of all pairs, (..., seq, heads, head_dim / 2) each."""
    split = (half, 2) if interleaved else (2, half)
    # Parting a dimension is never a copy, whatever the strides are.
    pairs = x.array.reshape(*x.shape[:-1], x.shape[-1] // (2 * half), *split)
    halves = (pairs[..., 0], pairs[..., 1]) if interleaved else (pairs[..., 0, :], pairs[..., 1, :])
    return [Operand(a, x.type) for a in halves]


def _half(head_dim: int) -> int:
    if head_dim <= 0 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, not {head_dim}.")
    return head_dim // 2


def _positions(pos: Any, rows: int) -> np.ndarray:
    if hasattr(pos, "__dlpack__") and getattr(pos, "ndim", None):
        found = view("pos", pos)
        if found.dtype.kind not in "iu":
            raise TypeError(f"pos holds {found.dtype.name}; positions are integers.")
        check_shape("pos", found.shape, (rows,), ", one position for each row of q")
        return on_host(found).astype(np.float64)
    try:
        first = operator.index(pos)
    except TypeError:
        raise TypeError(f"pos must be an integer or an array of integers, not {pos!r}.") from None
    return np.arange(first, first + rows, dtype=np.float64)


def frequencies_of(half: int, theta: float, scaling: Mapping[str, Any] | None) -> np.ndarray:
    """Radians per position, (half,)."""
    if not number("rope_theta", theta) > 0:
        raise ValueError(f"rope_theta must be positive, not {theta}.")
    frequencies = float(theta) ** (-np.arange(half) / half)
    if scaling is None:
        return frequencies
    if not isinstance(scaling, Mapping):
        raise TypeError(f"scaling must be None or a mapping, not {scaling!r}.")
    kind = scaling.get("rope_type", scaling.get("type"))
    missing = [name for name in _LLAMA3 if name not in scaling]
    if kind != "llama3" or missing:
        raise ValueError(
            f"scaling must be None or {{'rope_type': 'llama3', {', '.join(_LLAMA3)}}}, "
            f"not {dict(scaling)!r}."
        )
    factor, low, high, trained = (number(f"scaling's {name}", scaling[name]) for name in _LLAMA3)
    if not (factor > 0 and trained > 0 and 0 <= low < high):
        raise ValueError(
            f"scaling needs {_LLAMA3[0]} and {_LLAMA3[3]} above 0, and {_LLAMA3[2]} above "
            f"{_LLAMA3[1]}, not {dict(scaling)!r}."
        )
    # Waves longer than the trained length / low are stretched, those shorter than / high are not.
    share = (trained * frequencies / (2 * math.pi) - low) / (high - low)
    share = np.clip(share, 0, 1)
    return frequencies * (share + (1 - share) / factor)
