"""The steps of a decoder's layer, each written into memory of the caller's.

For a loop that does the same for every token: what the caller keeps is checked once, not here, and
every step of one row is a single launch (or one product for each matrix), so that the whole row of
steps can be recorded (gint.host.sequence). Arrays are float32 on the host, without gaps along their
last dimension; in what is called a part of a matrix may be of any stored type.

Knows operands, programs, products. Does not know models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gint.host.frontend import Builder
from gint.host.recall import note_launch
from gint.host.selection import products_for
from gint.quantized import PreparedWeights, QuantizedWeights

from .activations import record_gate
from .arrays import Operand
from .attention import record_weights
from .backend import active
from .launches import run
from .linear import product, record_conversion
from .norms import length, record_rms_norm
from .rope import record_rotation

#: A matrix (out, in), or rows of one.
Part = Operand | QuantizedWeights | PreparedWeights


def embed(weights: PreparedWeights, scale: float, token: np.ndarray, out: np.ndarray) -> None:
    """out (1, n) <- the row that token (1,) int64 names of weights in native memory, times scale:
    where `is_native`."""
    _launch(active().row_steps.embed(weights, scale, token, out), token, out)  # type: ignore[union-attr]


def norm(x: np.ndarray, weight: np.ndarray, eps: float, out: np.ndarray) -> None:
    """out <- x / sqrt(mean(x**2) + eps) * weight over the last dimension; out may be x."""
    if (own := _own(x)) is not None:
        _launch(own.norm(x, None, weight, eps, out), x, weight, out)
    else:
        run(record_rms_norm, _f32(x, weight, out), 1, (eps,))


def add_norm(
    x: np.ndarray, more: np.ndarray, weight: np.ndarray, eps: float, out: np.ndarray
) -> None:
    """x <- x + more, (rows, n); out <- the norm of that."""
    if (own := _own(x)) is not None:
        _launch(own.norm(x, more, weight, eps, out), x, more, weight, out)
    else:
        run(_add_rms_norm, _f32(x, more, weight, out), 1, (eps,))


def _own(x: np.ndarray) -> Any:
    """The backend's own ways of the steps (RowSteps) where x is one row, or None."""
    return active().row_steps if len(x) == 1 else None


def _launch(launch: Callable[..., None], *operands: np.ndarray) -> None:
    launch(*operands)
    note_launch(launch, operands)


def _add_rms_norm(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    n = b.reduced("n")
    x = b.inout("x", types[0], *lead, n)
    more, weight = b.input("more", types[1], *lead, n), b.input("weight", types[2], n)
    total = x + more
    scale = b.rsqrt(b.sum(total * total) / length(b, n) + b.cast(b.param("eps", "f64"), "f32"))
    b.store("x", total)
    b.output("out", types[3], (*lead, n), total * scale * weight)


def add(x: np.ndarray, more: np.ndarray) -> None:
    """x <- x + more, which is of x's shape, or is broadcast to it."""
    if (own := _own(x)) is not None:
        _launch(own.add(x, more), x, more)
    else:
        run(_add, _f32(np.broadcast_to(more, x.shape), x))


def _add(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    more = b.input("more", types[0], *lead)
    b.store("x", b.inout("x", types[1], *lead) + more)


def _copy(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    b.output("out", types[1], lead, b.input("x", types[0], *lead))


def keep(
    qkv: np.ndarray, cos: np.ndarray, sin: np.ndarray, interleaved: bool,
    keys: Sequence[Kept], values: np.ndarray,
) -> None:  # fmt: skip
    """Rotate queries and keys of qkv (rows, (heads + 2 n_kv_heads) * d) in place, then copy keys
    and values to a cache.

    cos, sin     (rows, dims / 2), of the pairs among a head's first `dims` values
    interleaved  as of `apply_rope`
    keys         places of some rows, one after the other: (rows, (n_kv_heads, d, those rows))
    values       (n_kv_heads, rows, d); both float32, or both float16, to which they are rounded
    """
    if (own := _own(qkv)) is not None:
        operands = qkv, cos, sin, keys[0].place[:, :, 0], values[:, 0]
        _launch(own.keep(*operands[:3], interleaved, *operands[3:]), *operands)
        return
    kv_heads, rows, d = values.shape
    heads = qkv.reshape(rows, -1, d)
    _rotate(heads[:, :-kv_heads], cos, sin, interleaved)
    for some in keys:
        own_keys = heads[some.rows, -2 * kv_heads : -kv_heads].transpose(1, 2, 0)
        run(_copy, (Operand(own_keys, "f32"), _cached(some.place)))
    run(_copy, (Operand(heads[:, -kv_heads:].transpose(1, 0, 2), "f32"), _cached(values)))


class Kept(NamedTuple):
    """Where the keys of some of the rows belong, (n_kv_heads, d, rows)."""

    rows: slice
    place: np.ndarray


def _rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, interleaved: bool) -> None:
    """Rotate the pairs of x, (rows, heads, d), in place."""
    half = cos.shape[-1]
    if interleaved:
        first, second = x[..., 0 : 2 * half : 2], x[..., 1 : 2 * half : 2]
    else:
        first, second = x[..., :half], x[..., half : 2 * half]
    tables = [np.broadcast_to(t[:, None], first.shape) for t in (cos, sin)]
    run(record_rotation, _f32(first, second, *tables, first, second))


def gate(gates: np.ndarray, ups: np.ndarray, activation: str, out: np.ndarray) -> None:
    """out <- activation(gates) * ups."""
    if (own := _own(gates)) is not None:
        _launch(own.gate(gates, ups, activation, out), gates, ups, out)
        return
    run(record_gate, _f32(gates, ups, out), choices=(activation,))


def float_rows(part: Part) -> np.ndarray:
    """The rows of a part as float32 (rows, in)."""
    if isinstance(part, Operand):
        return part.float32()
    products = products_for(active())
    if isinstance(part, QuantizedWeights) and products.bind is not None:
        part = products.prepare(part)  # native code reads the values of what it packed
    return part.rows(np.arange(part.shape[0]))


def attend(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, keep: np.ndarray, scores: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """One row's attention over the keys and values of a cache, as RowSteps.attention has it; keep
    is not False everywhere."""
    own = active().row_steps
    if own is not None:
        _launch(own.attention(q, k, v), q, k, v, keep, scores, out)
        return
    blocks, block = k.shape[1], k.shape[3]
    by_block = scores.reshape(*scores.shape[:2], blocks, block)
    run(_scores, (Operand(q, "f32"), _cached(k), Operand(by_block, "f32")))
    mask = Operand(np.broadcast_to(keep, scores.shape), "bool")
    own_scores = Operand(scores, "f32")
    run(record_weights, (own_scores, mask, own_scores), 1, (1 / math.sqrt(q.shape[2]),), ("bool",))
    run(_mix, (own_scores, _cached(v), Operand(out, "f32")))


def _scores(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    group, head, block, key = lead
    d = b.reduced("d")
    q, k = b.input("q", types[0], group, head, d), b.input("k", types[1], group, block, d, key)
    b.output("scores", types[2], lead, b.sum(q * k))


def _mix(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    group, head, d = lead
    key = b.reduced("key")
    share, v = b.input("share", types[0], group, head, key), b.input("v", types[1], group, key, d)
    b.output("mixed", types[2], lead, b.sum(share * v))


def part_bytes(part: Part) -> int:
    """The bytes of a part."""
    if isinstance(part, (Operand, QuantizedWeights)):
        return (part.array if isinstance(part, Operand) else part.data).nbytes
    return part.nbytes


def is_native() -> bool:
    """Whether the active backend's steps of one row are native launches, all of them."""
    return active().memory is None and products_for(active()).bind is not None


def is_recordable(part: Part) -> bool:
    """Whether `multiply` of one row is a native launch, as the other steps of one row are where
    this is: what is watched is then all that is done (gint.host.sequence)."""
    if not is_native():
        return False
    return isinstance(part, Operand) or (
        not isinstance(part, QuantizedWeights) and part.products.bind is not None
    )


def multiply(x: np.ndarray, part: Part, out: np.ndarray) -> None:
    """out (rows, outputs) <- x (rows, in) @ part.T; rows may have gaps between them."""
    products = products_for(active())
    if isinstance(part, QuantizedWeights):
        products.multiply(x, part, out)
    elif not isinstance(part, Operand):
        _multiply_prepared(x, part, out)
    elif len(x) == 1 and products.bind is not None:  # bound launches are native: no BLAS is faster
        run(_row_product, (Operand(x[0], "f32"), part, Operand(out[0], "f32")))
    else:
        product(x, _widened(part).T, out=out)


def _widened(part: Operand) -> np.ndarray:
    """The values in float32, by a program where they are converted: it uses all threads."""
    if part.type == "f32":
        return part.array
    wide = np.empty(part.shape, np.float32)
    run(record_conversion, (part, Operand(wide, "f32")))
    return wide


def _multiply_prepared(x: np.ndarray, part: PreparedWeights, out: np.ndarray) -> None:
    products = part.products
    if products.bind is None or not (x.flags.c_contiguous and out.flags.c_contiguous):
        products.multiply(x, part, out)
        return
    launch = products.bind(part, True)
    launch(x, part, out)
    note_launch(launch, (x, part, out))


def _row_product(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    n = b.reduced("n")
    x, part = b.input("x", types[0], n), b.input("part", types[1], *lead, n)
    b.output("out", types[2], lead, b.sum(x * part))


def _cached(array: np.ndarray) -> Operand:
    """Keys or values of a cache."""
    return Operand(array, "f16" if array.dtype == np.float16 else "f32")


def _f32(*arrays: np.ndarray) -> list[Operand]:
    return [Operand(a, "f32") for a in arrays]
