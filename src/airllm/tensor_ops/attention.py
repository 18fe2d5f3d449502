"""Grouped-query attention, a block of queries at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gint.host.tensors import name_of_type
from gint.operators.attention import CAUSAL, record_weights

from .arrays import Operand, beside, check_rank, check_shape, integer_of, take, take_out, view
from .launches import run
from .linear import product, refuse_overlap, store

#: Scores held at a time, unless one query's are more: 16 MiB of float32.
_SCORES = 1 << 22


def multi_head_attention(
    q: Any, k: Any, v: Any, n_heads: int, n_kv_heads: int, mask: Any = None, *, out: Any = None
) -> Any:
    """softmax(q @ k.T / sqrt(d) + mask) @ v for every head.

    q           (seq, n_heads * d), float32, float16 or bfloat16; computed in float32
    k, v        (kv_seq, n_kv_heads * d); n_heads / n_kv_heads heads in a row share one
    mask        (seq, kv_seq) or (n_heads, seq, kv_seq), float: added to the scores; bool: True
                keeps; "causal": query i sees the keys up to i + kv_seq - seq; None
    out         (seq, n_heads * d) of q's type, for the result; must not share memory with the rest

    Returns (seq, n_heads * d), an array like q. A query to which a mask leaves no key, or only
    scores of -inf, gives zeros.
    Memory beside the result grows with kv_seq and not with seq * kv_seq. Raises TypeError for
    other types, ValueError for shapes that do not match. Sources: Vaswani et al. 2017, "Attention
    Is All You Need"; Ainslie et al. 2023, "GQA".
    """
    q, k, v = take("q", q), take("k", k), take("v", v)
    n_heads, n_kv_heads = integer_of("n_heads", n_heads), integer_of("n_kv_heads", n_kv_heads)
    d = _head_size(q, k, v, n_heads, n_kv_heads)
    (seq, _), kv_seq = q.shape, k.shape[0]
    kind, bias = _mask(mask, n_heads, seq, kv_seq)
    if kind == CAUSAL and seq == 1 and kv_seq:
        kind = None  # the last query sees all keys
    y = take_out(out, q.shape, q)
    if out is not None:  # a block of rows is written before the next one is read
        read = {"q": q, "k": k, "v": v} | ({} if bias is None else {"mask": Operand(bias, "f32")})
        refuse_overlap(y, **read)
    if y.array.size == 0:
        return y.result()
    group = n_heads // n_kv_heads
    keys = beside(k.float32(), q.array).reshape(kv_seq, n_kv_heads, d).transpose(1, 2, 0)
    values = beside(v.float32(), q.array).reshape(kv_seq, n_kv_heads, d).transpose(1, 0, 2)
    bias = None if bias is None else beside(bias, q.array)
    rows = max(1, _SCORES // max(1, n_heads * kv_seq))
    for start in range(0, seq, rows):
        stop = min(seq, start + rows)
        count = stop - start
        # Keys that no query of the block sees are left out.
        seen = kv_seq if kind != CAUSAL else min(kv_seq, max(0, stop + kv_seq - seq))
        block = Operand(q.array[start:stop], q.type).float32()
        block = block.reshape(count, n_kv_heads, group, d).transpose(1, 2, 0, 3)
        scores = product(block.reshape(n_kv_heads, group * count, d), keys[:, :, :seen])
        scores = scores.reshape(n_heads, count, seen)
        if seen:
            _to_weights(scores, d, kind, bias, start, start + kv_seq - seq)
        mixed = product(scores.reshape(n_kv_heads, group * count, seen), values[:, :seen])
        mixed = mixed.reshape(n_kv_heads, group, count, d).transpose(2, 0, 1, 3)
        part = y.array[start:stop]
        store(Operand(part, y.type), mixed.reshape(part.shape))
    return y.result()


def _to_weights(
    scores: Any, d: int, kind: str | None, bias: Any, start: int, diagonal: int
) -> None:
    """scores (n_heads, count, seen) <- softmax over the keys of scores / sqrt(d) + mask."""
    count, seen = scores.shape[1:]
    operands = [Operand(scores, "f32")]
    if bias is not None:
        block = bias[:, start : start + count, :seen]
        block = np.broadcast_to(block, scores.shape)
        operands.append(Operand(block, "f32" if kind == "float" else "bool"))
    params = (1 / math.sqrt(d), diagonal) if kind == CAUSAL else (1 / math.sqrt(d),)
    # The rows of a head stay an axis of their own: a causal mask asks for the position in it.
    own = 2 if kind == CAUSAL else 1
    run(record_weights, (*operands, operands[0]), own, params, (kind,))


def _head_size(q: Operand, k: Operand, v: Operand, n_heads: int, n_kv_heads: int) -> int:
    for name, count in (("n_heads", n_heads), ("n_kv_heads", n_kv_heads)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, not {count}.")
    if n_heads % n_kv_heads:
        raise ValueError(f"n_heads, {n_heads}, must be a multiple of n_kv_heads, {n_kv_heads}.")
    for name, operand in (("q", q), ("k", k), ("v", v)):
        check_rank(name, operand, 2, 2)
    if q.shape[1] % n_heads:
        raise ValueError(
            f"q has the shape {q.shape}; its last dimension must be a multiple of n_heads, "
            f"{n_heads}."
        )
    d = q.shape[1] // n_heads
    wanted = (k.shape[0], n_kv_heads * d)
    check_shape("k", k.shape, wanted, f", (kv_seq, n_kv_heads * d): d is {d}, as q has it")
    check_shape("v", v.shape, wanted, ", as k has")
    return d


def _kind_of(mask: Any) -> str:
    """What an array is as a mask, by its type; bfloat16, say, cannot be looked at as it is."""
    dtype = getattr(mask, "dtype", None)
    if dtype is None:  # DLPack knows
        dtype = view("mask", mask).dtype
    name = name_of_type(dtype)
    if name not in ("bool", "float32", "float16", "bfloat16"):
        raise TypeError(
            f"mask holds {name}; bool (True keeps), and float32, float16 and bfloat16 (added to "
            f"the scores) are accepted."
        )
    return "bool" if name == "bool" else "float"


def _mask(mask: Any, n_heads: int, seq: int, kv_seq: int) -> tuple[str | None, Any]:
    """What kind of mask it is, and (1 or n_heads, seq, kv_seq) values."""
    if mask is None or isinstance(mask, str):
        if mask not in (None, CAUSAL):
            raise ValueError(f"mask must be an array, 'causal' or None, not {mask!r}.")
        return mask, None
    kind = _kind_of(mask)
    values = view("mask", mask) if kind == "bool" else take("mask", mask).float32()
    wanted = (n_heads, seq, kv_seq) if values.ndim == 3 else (seq, kv_seq)
    check_shape("mask", values.shape, wanted)
    return kind, values if values.ndim == 3 else values[None]
