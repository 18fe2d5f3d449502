"""Formats with super-blocks of 256 values: blocks of 16 or 32 with small integers for scales.

The layouts are ggml's (ggml-common.h, `block_q2_K` to `block_q6_K`). A super-block has a float16 d,
by which the integer scales of its blocks are multiplied; where blocks have a minimum, a second one
for those. The package `gguf` decodes these formats and does not encode them; the encoders are ours:

- each block's scale (and minimum) is searched (scales.py), and so is the plain one kept that maps
  the extremes of the block to the extreme integers;
- both are rounded to integers for the super-block, the values are rounded again with what that
  gives, and the super-block takes whichever of the two is off by less in the sum of squares.

So the root mean square of a super-block's errors is never more than that of plain rounding, which
for ordinary numbers (no scale that float16 does not hold) is bounded by `error_bound`.

Every encoder takes (super-blocks, 256) float32 and returns (super-blocks, bytes) uint8; a decoder
does the reverse. Knows bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gint.dataclass import frozen

from .blocks import floats, halves
from .scales import Affine, affine, inverse, symmetric

SUPER_BLOCK = 256
_TWO_BITS = np.array([0, 2, 4, 6], np.uint8)
_FOUR_BITS = np.array([0, 4], np.uint8)
_LEAST_HALF = 2.0**-24  # the least float16 above 0
_EIGHT_BITS = np.arange(8, dtype=np.uint8)


@frozen
class SymmetricScales:
    """x ~ d * scale * q: q from `lowest` to -lowest - 1, integer scales likewise."""

    block: int
    lowest: int
    lowest_scale: int

    def fit(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """d (n, 1) float16; scales (n, blocks) and q - lowest (n, 256), integers from 0 up."""
        turned = _turned(x, self.block)
        tried = symmetric(turned, self.lowest, self._nearest)
        plain, best = (self._fit(turned, scale.reshape(len(x), -1)) for scale in tried)
        d, scales, q = _better(plain, best)
        return d[:, None], scales, q

    def _fit(self, x: np.ndarray, scale: np.ndarray) -> _Fitted:
        at = np.abs(scale).argmax(axis=1, keepdims=True)
        d = (np.take_along_axis(scale, at, axis=1) / self.lowest_scale).astype(np.float16)
        d32 = d.astype(np.float32)
        whole = np.clip(np.rint(scale * inverse(d32)), self.lowest_scale, -self.lowest_scale - 1)
        of_block = (d32 * whole).reshape(-1)
        q = self._nearest(x * inverse(of_block))
        off = of_block * q - x
        integers = (whole - self.lowest_scale).astype(np.uint8)
        return _Fitted(
            d[:, 0], integers, _back(q - self.lowest, len(scale)), _error(off, len(scale))
        )

    def _nearest(self, ratio: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(ratio), self.lowest, -self.lowest - 1)

    def error_bound(self, x: np.ndarray) -> np.ndarray:
        """(n, 256) -> (n,): what the root mean square of a super-block's errors stays below."""
        largest = np.abs(x).max(axis=1)
        step = largest / -self.lowest
        # A value at the other end is a step away; a scale is off by one integer at most, which the
        # largest q multiplies; d is rounded to float16, above its least.
        off = step * (1 + self.lowest / self.lowest_scale) * (1 + 2**-9)
        return off + _LEAST_HALF * self.lowest * self.lowest_scale


@frozen
class AffineScales:
    """x ~ d * scale * q - dmin * minimum: q from 0 to `levels`, scales and minima to `most`."""

    block: int
    levels: int
    most: int

    def fit(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """d and dmin (n, 2) float16; scales and minima (n, blocks), q (n, 256) uint8."""
        turned = _turned(x, self.block)
        plain, best = (self._fit(turned, found, len(x)) for found in affine(turned, self.levels))
        both, scales, q = _better(plain, best)
        return both, scales[:, 0], scales[:, 1], q

    def _fit(self, x: np.ndarray, found: Affine, count: int) -> _Fitted:
        values = np.stack([part.reshape(count, -1) for part in found], axis=1)
        both = (values.max(axis=2) / np.float32(self.most)).astype(np.float16)
        both32 = both.astype(np.float32)[:, :, None]
        whole = np.clip(np.rint(values * inverse(both32)), 0, self.most)
        scale, shift = ((both32 * whole)[:, n].reshape(-1) for n in (0, 1))
        q = (x + shift) * inverse(scale)
        np.rint(q, out=q)
        np.clip(q, 0, self.levels, out=q)
        off = scale * q - shift - x
        return _Fitted(both, whole.astype(np.uint8), _back(q, count), _error(off, count))

    def error_bound(self, x: np.ndarray) -> np.ndarray:
        """(n, 256) -> (n,): what the root mean square of a super-block's errors stays below."""
        blocks = x.reshape(len(x), -1, self.block)
        low = np.minimum(blocks.min(axis=2), 0)
        span = (blocks.max(axis=2) - low).max(axis=1)
        step = span / self.levels
        # Half a step; scale and minimum are off by half an integer each, of which the largest q
        # multiplies the scale's; d and dmin are rounded to float16, above its least.
        off = step * (0.5 + (self.levels + 1) / 2 / self.most) - low.min(axis=1) / 2 / self.most
        return off * (1 + 2**-9) + _LEAST_HALF * self.most * (self.levels + 1)


Q2 = AffineScales(block=16, levels=3, most=15)
Q3 = SymmetricScales(block=16, lowest=-4, lowest_scale=-32)
Q4 = AffineScales(block=32, levels=15, most=63)
Q5 = AffineScales(block=32, levels=31, most=63)
Q6 = SymmetricScales(block=16, lowest=-32, lowest_scale=-128)


def encode_q2_k(x: np.ndarray) -> np.ndarray:
    d, scales, minima, q = Q2.fit(x)
    return np.concatenate([scales | minima << np.uint8(4), _pack_pairs(q), halves(d)], axis=1)


def decode_q2_k(blocks: np.ndarray) -> np.ndarray:
    scales, pairs, d, dmin = _split(blocks, (16, 64, 2, 2))
    scale = floats(d) * (scales & np.uint8(15)).astype(np.float32)
    minimum = floats(dmin) * (scales >> np.uint8(4)).astype(np.float32)
    return _affine(scale, _pairs(pairs), minimum)


def encode_q3_k(x: np.ndarray) -> np.ndarray:
    d, scales, q = Q3.fit(x)
    low, high = scales & np.uint8(15), scales >> np.uint8(4)
    packed = [low[:, :8] | low[:, 8:] << np.uint8(4), _pack_fields(high, 4, _TWO_BITS)]
    bits = _pack_fields(q >> np.uint8(2), 32, _EIGHT_BITS)
    return np.concatenate([bits, _pack_pairs(q & np.uint8(3)), *packed, halves(d)], axis=1)


def decode_q3_k(blocks: np.ndarray) -> np.ndarray:
    bits, pairs, low, high, d = _split(blocks, (32, 64, 8, 4, 2))
    scales = _fields(low, 8, _FOUR_BITS) | _fields(high, 4, _TWO_BITS) << np.uint8(4)
    scale = floats(d) * (scales.astype(np.int8) - np.int8(32)).astype(np.float32)
    q = _pairs(pairs) | _fields(bits, 32, _EIGHT_BITS) << np.uint8(2)
    return _scaled(scale, q.astype(np.int8) - np.int8(4))


def encode_q4_k(x: np.ndarray) -> np.ndarray:
    d, scales, minima, q = Q4.fit(x)
    return np.concatenate([halves(d), _pack_six_bits(scales, minima), _pack_nibbles(q, 32)], axis=1)


def decode_q4_k(blocks: np.ndarray) -> np.ndarray:
    d, dmin, packed, nibbles = _split(blocks, (2, 2, 12, 128))
    scales, minima = _six_bits(packed)
    return _affine(floats(d) * scales, _fields(nibbles, 32, _FOUR_BITS), floats(dmin) * minima)


def encode_q5_k(x: np.ndarray) -> np.ndarray:
    d, scales, minima, q = Q5.fit(x)
    bits = _pack_fields(q >> np.uint8(4), 32, _EIGHT_BITS)
    parts = [halves(d), _pack_six_bits(scales, minima), bits, _pack_nibbles(q & np.uint8(15), 32)]
    return np.concatenate(parts, axis=1)


def decode_q5_k(blocks: np.ndarray) -> np.ndarray:
    d, dmin, packed, bits, nibbles = _split(blocks, (2, 2, 12, 32, 128))
    scales, minima = _six_bits(packed)
    q = _fields(nibbles, 32, _FOUR_BITS) | _fields(bits, 32, _EIGHT_BITS) << np.uint8(4)
    return _affine(floats(d) * scales, q, floats(dmin) * minima)


def encode_q6_k(x: np.ndarray) -> np.ndarray:
    d, scales, q = Q6.fit(x)
    signed = scales ^ np.uint8(128)  # from 0 up to two's complement
    parts = [_pack_nibbles(q & np.uint8(15), 64), _pack_pairs(q >> np.uint8(4)), signed, halves(d)]
    return np.concatenate(parts, axis=1)


def decode_q6_k(blocks: np.ndarray) -> np.ndarray:
    nibbles, pairs, scales, d = _split(blocks, (128, 64, 16, 2))
    q = _fields(nibbles, 64, _FOUR_BITS) | _pairs(pairs) << np.uint8(4)
    scale = floats(d) * scales.view(np.int8).astype(np.float32)
    return _scaled(scale, q.astype(np.int8) - np.int8(32))


class _Fitted(NamedTuple):
    """What a super-block may become: d's, integer scales, q as bytes, sum of squared errors."""

    d: np.ndarray
    scales: np.ndarray
    q: np.ndarray
    error: np.ndarray


def _better(plain: _Fitted, best: _Fitted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The better of the two for every super-block."""
    takes = best.error < plain.error

    def chosen(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(takes.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return chosen(best.d, plain.d), chosen(best.scales, plain.scales), chosen(best.q, plain.q)


def _turned(x: np.ndarray, block: int) -> np.ndarray:
    """(n, 256) -> (block, n * blocks), contiguous."""
    return np.ascontiguousarray(x.reshape(-1, block).T)


def _back(q: np.ndarray, count: int) -> np.ndarray:
    return q.astype(np.uint8).T.reshape(count, SUPER_BLOCK)


def _error(off: np.ndarray, count: int) -> np.ndarray:
    """Sums of squares by super-block."""
    return (off * off).sum(axis=0).reshape(count, -1).sum(axis=1)


def _scaled(scale: np.ndarray, q: np.ndarray) -> np.ndarray:
    """(n, blocks) of scales times (n, 256) of integers."""
    blocks = q.reshape(*scale.shape, -1).astype(np.float32)
    return (scale[:, :, None] * blocks).reshape(q.shape)


def _affine(scale: np.ndarray, q: np.ndarray, minimum: np.ndarray) -> np.ndarray:
    blocks = q.reshape(*scale.shape, -1).astype(np.float32)
    return (scale[:, :, None] * blocks - minimum[:, :, None]).reshape(q.shape)


def _split(blocks: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    ends = np.cumsum(sizes)
    assert blocks.shape[1] == ends[-1]
    return np.split(blocks, ends[:-1], axis=1)


def _fields(data: np.ndarray, run: int, shifts: np.ndarray) -> np.ndarray:
    """Fields of bits: `run` bytes hold as many values per shift, one shift after the other."""
    width = np.uint8((1 << 8 // len(shifts)) - 1)
    runs = data.reshape(len(data), -1, 1, run) >> shifts[:, None]
    return (runs & width).reshape(len(data), -1)


def _pack_fields(q: np.ndarray, run: int, shifts: np.ndarray) -> np.ndarray:
    runs = q.reshape(len(q), -1, len(shifts), run) << shifts[:, None]
    return np.bitwise_or.reduce(runs, axis=2).reshape(len(q), -1)


def _pairs(data: np.ndarray) -> np.ndarray:
    return _fields(data, 32, _TWO_BITS)


def _pack_pairs(q: np.ndarray) -> np.ndarray:
    return _pack_fields(q, 32, _TWO_BITS)


def _pack_nibbles(q: np.ndarray, run: int) -> np.ndarray:
    return _pack_fields(q, run, _FOUR_BITS)


def _six_bits(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eight scales and eight minima of 6 bits from 12 bytes, as floats.

    Four bytes with a scale each below the upper two bits of the scale four further, four of minima
    likewise, four with the lower nibbles of both.
    """
    a, b, c = _split(packed, (4, 4, 4))
    low, upper = np.uint8(63), np.uint8(48)
    scales = [a & low, c & np.uint8(15) | a >> np.uint8(2) & upper]
    minima = [b & low, c >> np.uint8(4) | b >> np.uint8(2) & upper]
    return tuple(np.concatenate(part, axis=1).astype(np.float32) for part in (scales, minima))  # type: ignore[return-value]


def _pack_six_bits(scales: np.ndarray, minima: np.ndarray) -> np.ndarray:
    four, six = np.uint8(4), np.uint8(6)
    a, b = (q[:, :4] | q[:, 4:] >> four << six for q in (scales, minima))
    c = scales[:, 4:] & np.uint8(15) | minima[:, 4:] << four
    return np.concatenate([a, b, c], axis=1)
