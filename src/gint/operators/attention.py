"""Scaled dot product attention, a block of heads and queries at a time.

The scores of a block stay in the cache: no more of them are held than `_SCORES`, unless one query's
are more. Sources: Vaswani et al. 2017, "Attention Is All You Need"; Ainslie et al. 2023, "GQA".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gint.host import memory
from gint.host.frontend import Builder

from .arrays import empty_in_order, same_type, widened
from .launches import compute
from .products import multiply
from .registry import operator

#: Scores held at a time: 1 MiB of float32.
_SCORES = 1 << 18

CAUSAL = "causal"


def record_weights(
    b: Builder, lead: tuple[int, ...], types: tuple[str, ...], kind: str | None
) -> None:
    """Record softmax(scores * scale + mask) over the last of the program's own axes.

    `kind` says what masks: "float" adds the second operand to the scores, "bool" keeps the scores
    where it is True, "causal" lets a query see the keys up to its own position plus `diagonal`,
    None nothing. Scores that are all -inf give zeros, not NaN, where anything may be masked.
    """
    t = types[0]
    queries = (b.parallel("query"),) if kind == CAUSAL else ()
    axes = (*lead, *queries, b.reduced("key"))
    scores = b.input("scores", t, *axes) * b.cast(b.param("scale", "f64"), t)
    if kind == CAUSAL:
        keep = b.index(axes[-1]) <= b.index(axes[-2]) + b.param("diagonal", "i64")
        scores = b.where(keep, scores, -math.inf)
    elif kind == "float":
        scores = scores + b.input("mask", types[1], *axes)
    elif kind == "bool":
        scores = b.where(b.input("mask", types[1], *axes), scores, -math.inf)
    largest, nothing = b.amax(scores), None
    if kind is not None:
        # exp(-inf - -inf) is NaN: a row that keeps nothing becomes exp(-inf) / 1.
        nothing = b.eq(largest, -math.inf)
        largest = b.where(nothing, 0.0, largest)
    powers = b.exp(scores - largest)
    total = b.sum(powers)
    if nothing is not None:
        total = b.where(nothing, 1.0, total)
    b.output("weights", t, axes, powers / total)


class _Heads(NamedTuple):
    """Queries (heads, rows, size) and keys, values (groups, length, size) of one batch."""

    queries: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    mask: np.ndarray | None
    out: np.ndarray


def attend(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None,
    is_causal: bool, scale: float | None,
) -> np.ndarray:  # fmt: skip
    """softmax(query @ key.T * scale + mask) @ value, for each batch and head.

    query       (batch, heads, rows, size), of one float type with key and value
    key         (batch, groups, length, size); heads / groups heads in a row share one
    value       (batch, groups, length, size of the result)
    mask        broadcast to (batch, heads, rows, length): bool keeps where True, floats are added
    is_causal   query i sees the keys up to i
    scale       1 / sqrt(size) where it is None

    Returns (batch, heads, rows, size of the result), the heads of a row side by side in memory, as
    ATen has it. Raises TypeError or ValueError for operands that do not fit.
    """
    _check(query, key, value, mask, is_causal)
    (batch, heads, rows, size), width = query.shape, value.shape[-1]
    dtype = query.dtype
    query, key, value = widened(query), widened(key), widened(value)
    out = empty_in_order((batch, heads, rows, width), query.dtype, (0, 2, 1, 3))
    factor = float(scale) if scale is not None else 1 / math.sqrt(size) if size else math.inf
    if mask is not None:
        mask = np.broadcast_to(widened(mask), (batch, heads, rows, key.shape[2]))
    for n in range(batch):
        given = None if mask is None else mask[n]
        _attend_batch(_Heads(query[n], key[n], value[n], given, out[n]), is_causal, factor)
    return out.astype(dtype, copy=False)


def _check(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None, is_causal: bool
) -> None:
    same_type("attention", query, key, value)
    if query.dtype.kind not in "f" and query.dtype.name != "bfloat16":
        raise TypeError(f"Attention takes floats, not {query.dtype.name}.")
    shapes = f"query {query.shape}, key {key.shape}, value {value.shape}"
    if (
        any(a.ndim != 4 for a in (query, key, value))
        or key.shape[:3] != value.shape[:3]
        or query.shape[0] != key.shape[0]
        or query.shape[3] != key.shape[3]
        or query.shape[1] % max(1, key.shape[1])
    ):
        raise ValueError(f"Attention takes operands that fit, not those of shapes {shapes}.")
    if mask is not None and is_causal:
        raise ValueError("Attention takes a mask or is_causal, not both.")


def _attend_batch(heads: _Heads, is_causal: bool, scale: float) -> None:
    length = heads.keys.shape[1]
    if not heads.out.size:
        return
    if not length:
        heads.out[...] = 0
        return
    count, rows, _ = heads.queries.shape
    group = count // heads.keys.shape[0]
    held = max(rows and 1, min(rows, _SCORES // length))
    heads_held = max(1, min(count, _SCORES // (length * held)) // group) * group
    for first in range(0, count, heads_held):
        for start in range(0, rows, held):
            part = _part(heads, slice(first, first + heads_held), slice(start, start + held), group)
            _attend_block(part, start if is_causal else None, scale)


def _part(heads: _Heads, which: slice, rows: slice, group: int) -> _Heads:
    shared = slice(which.start // group, -(-which.stop // group))
    return _Heads(
        heads.queries[which, rows],
        heads.keys[shared],
        heads.values[shared],
        None if heads.mask is None else heads.mask[which, rows],
        heads.out[which, rows],
    )


def _attend_block(block: _Heads, diagonal: int | None, scale: float) -> None:
    """One block; `diagonal` is the position of the first query where keys after it are hidden."""
    count, rows, _ = block.queries.shape
    keys, values = block.keys, block.values
    if diagonal is not None:  # keys that no query of the block sees are left out
        keys, values = keys[:, : diagonal + rows], values[:, : diagonal + rows]
    length = keys.shape[1]
    scores = memory.empty((count, rows, length), block.queries.dtype)
    for queries, group, part in _grouped(block.queries, keys, scores):
        multiply(queries, group.swapaxes(-1, -2), part)
    to_weights(scores, block.mask, diagonal, scale)
    for part, group, result in _grouped(scores, values, block.out):
        multiply(part, group, result)


def _grouped(
    of_heads: np.ndarray, shared: np.ndarray, result: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Operands of products in which each group of heads has a matrix in common."""
    group = of_heads.shape[0] // shared.shape[0]
    if group == 1:
        yield of_heads, shared, result
        return
    for n, matrix in enumerate(shared):
        which = slice(n * group, (n + 1) * group)
        # Once for each head, as gint's products take it. They would leave one matrix for a batch to
        # NumPy's BLAS, whose threads then spin on the cores that gint's next launch needs.
        yield of_heads[which], np.broadcast_to(matrix, (group, *matrix.shape)), result[which]


def to_weights(
    scores: np.ndarray, mask: np.ndarray | None, diagonal: int | None, scale: float
) -> None:
    """scores (heads, rows, length) <- softmax(scores * scale + mask), as `record_weights` says."""
    if diagonal is not None:
        params = (scale, diagonal)
        compute(record_weights, scores, scores, own=2, params=params, choices=(CAUSAL,))
    elif mask is None:
        compute(record_weights, scores, scores, own=1, params=(scale,), choices=(None,))
    else:
        kind = "bool" if mask.dtype == np.bool_ else "float"
        mask = mask if kind == "bool" else mask.astype(scores.dtype, copy=False)
        compute(record_weights, scores, mask, scores, own=1, params=(scale,), choices=(kind,))


def _no_dropout(dropout_p: float) -> None:
    if dropout_p:
        raise ValueError(
            f"Attention drops nothing out of a model in eval mode; dropout_p is {dropout_p}."
        )


@operator("_scaled_dot_product_flash_attention_for_cpu")
def flash_attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, dropout_p: float = 0.0,
    is_causal: bool = False, *, attn_mask: np.ndarray | None = None, scale: float | None = None,
) -> tuple[np.ndarray, None]:  # fmt: skip
    """`attend`; the logarithms of the sums, which only gradients need, are None."""
    _no_dropout(dropout_p)
    return attend(query, key, value, attn_mask, is_causal, scale), None


@operator("scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, attn_mask: np.ndarray | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, *, scale: float | None = None,
    enable_gqa: bool = False,
) -> np.ndarray:  # fmt: skip
    """`attend` for operands of any number of batch dimensions that broadcast."""
    _no_dropout(dropout_p)
    rank = max(4, query.ndim)
    wide = [a.reshape((1,) * (rank - a.ndim) + a.shape) for a in (query, key, value)]
    batch = np.broadcast_shapes(*[a.shape[:-3] for a in wide])
    heads = [a.shape[-3] for a in wide]
    if not enable_gqa:
        heads = [max(heads)] * 3
    wide = [
        np.broadcast_to(a, (*batch, h, *a.shape[-2:])) for a, h in zip(wide, heads, strict=True)
    ]
    if attn_mask is not None:
        mask_shape = (*batch, heads[0], query.shape[-2], key.shape[-2])
        attn_mask = np.broadcast_to(widened(attn_mask), mask_shape).reshape(-1, *mask_shape[-3:])
    q, k, v = (a.reshape(-1, *a.shape[-3:]) for a in wide)
    y = attend(q, k, v, attn_mask, is_causal, scale)
    shape = (*batch, heads[0], *y.shape[-2:])
    return y.reshape(shape if query.ndim >= 4 else shape[len(shape) - query.ndim :])
