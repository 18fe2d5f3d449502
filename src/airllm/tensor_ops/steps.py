"""The steps of a decoder's layer, each written into memory of the caller's.

For a loop that does the same for every token: what the caller keeps is checked once, not here, and
every step of one row is a single launch (or one product for each matrix), so that the whole row of
steps can be recorded (gint.host.sequence). Arrays are float32 on the host, without gaps along their
last dimension; in what is called a part of a matrix may be of any stored type.

Knows operands, programs, products. Does not know models.
"""

from __future__ import annotations

import math

import numpy as np

from gint.host.frontend import Builder
from gint.host.recall import note_launch
from gint.host.selection import products_for
from gint.quantized import PreparedWeights, QuantizedWeights, dequantize

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


def norm(x: np.ndarray, weight: np.ndarray, eps: float, out: np.ndarray) -> None:
    """out <- x / sqrt(mean(x**2) + eps) * weight over the last dimension; out may be x."""
    run(record_rms_norm, _f32(x, weight, out), 1, (eps,))


def add_norm(
    x: np.ndarray, more: np.ndarray, weight: np.ndarray, eps: float, out: np.ndarray
) -> None:
    """x <- x + more, (rows, n); out <- the norm of that."""
    run(_add_rms_norm, _f32(x, more, weight, out), 1, (eps,))


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
    run(_add, _f32(np.broadcast_to(more, x.shape), x))


def _add(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    more = b.input("more", types[0], *lead)
    b.store("x", b.inout("x", types[1], *lead) + more)


def copy(x: np.ndarray, out: np.ndarray) -> None:
    """out <- x, of the same shape and any strides."""
    run(_copy, _f32(x, out))


def _copy(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    b.output("out", types[1], lead, b.input("x", types[0], *lead))


def rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, interleaved: bool) -> None:
    """Rotate the pairs of x, (rows, heads, dims), in place; cos and sin are (rows, dims / 2).

    interleaved  as of `apply_rope`
    """
    half = cos.shape[-1]
    if interleaved:
        first, second = x[..., 0 : 2 * half : 2], x[..., 1 : 2 * half : 2]
    else:
        first, second = x[..., :half], x[..., half : 2 * half]
    tables = [np.broadcast_to(t[:, None], first.shape) for t in (cos, sin)]
    run(record_rotation, _f32(first, second, *tables, first, second))


def gate(gates: np.ndarray, ups: np.ndarray, activation: str, out: np.ndarray) -> None:
    """out <- activation(gates) * ups."""
    run(record_gate, _f32(gates, ups, out), choices=(activation,))


def float_rows(part: Part) -> np.ndarray:
    """The rows of a part as float32 (rows, in)."""
    if isinstance(part, Operand):
        return part.float32()
    blocks = part if isinstance(part, QuantizedWeights) else part.unpack()
    return dequantize(blocks.data, blocks.shape, blocks.format, np.empty(blocks.shape, np.float32))


def attend(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, keep: np.ndarray, scores: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """One row's attention over the keys and values of a cache.

    q       (n_kv_heads, queries that share one, d); out  likewise
    k, v    (n_kv_heads, kv_seq, d); of k positions are neighbours, of v a head's values
    keep    (kv_seq,) bool: False leaves a position out; not all of them
    scores  (n_kv_heads, queries, kv_seq), overwritten
    """
    bind = active().attention
    if bind is not None:
        launch = bind(q, k, v)
        launch(q, k, v, keep, scores, out)
        note_launch(launch, (q, k, v, keep, scores, out))
        return
    run(_scores, _f32(q, k, scores))
    mask = Operand(np.broadcast_to(keep, scores.shape), "bool")
    own = Operand(scores, "f32")
    run(record_weights, (own, mask, own), 1, (1 / math.sqrt(k.shape[2]),), ("bool",))
    run(_mix, _f32(scores, v, out))


def _scores(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    group, head, key = lead
    d = b.reduced("d")
    q, k = b.input("q", types[0], group, head, d), b.input("k", types[1], group, key, d)
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


def _f32(*arrays: np.ndarray) -> list[Operand]:
    return [Operand(a, "f32") for a in arrays]
