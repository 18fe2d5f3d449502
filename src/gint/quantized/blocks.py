"""Formats with blocks of 32 values: a float16 scale, for some a float16 minimum, and integers.

The layouts are ggml's (ggml-common.h, `block_q4_0` and so on). Where the package `gguf` quantises,
the bits are its own; IQ4_NL has a table of values instead of integers, and its scale is searched.

Every encoder takes (blocks, 32) float32 and returns (blocks, bytes) uint8; a decoder does the
reverse. Knows bytes.
"""

from __future__ import annotations

import numpy as np

from .scales import inverse, symmetric

_HALF = 16

#: What the nibbles of IQ4_NL stand for (ggml-common.h, `kvalues_iq4nl`).
IQ4_NL = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)
#: The nearest of them to -127, -126 ... 113.
_NEAREST = np.abs(np.arange(-127, 114)[:, None] - IQ4_NL).argmin(axis=1).astype(np.uint8)


def encode_q4_0(x: np.ndarray) -> np.ndarray:
    scale, q = _by_the_largest(x, -8)
    return np.concatenate([halves(scale), _nibbles(q)], axis=1)


def decode_q4_0(blocks: np.ndarray) -> np.ndarray:
    q = _from_nibbles(blocks[:, 2:]).astype(np.int8) - np.int8(8)
    return floats(blocks[:, :2]) * q.astype(np.float32)


def encode_q4_1(x: np.ndarray) -> np.ndarray:
    scale, low, q = _by_the_range(x, 15)
    return np.concatenate([halves(scale), halves(low), _nibbles(q)], axis=1)


def decode_q4_1(blocks: np.ndarray) -> np.ndarray:
    q = _from_nibbles(blocks[:, 4:]).astype(np.float32)
    return floats(blocks[:, :2]) * q + floats(blocks[:, 2:4])


def encode_q5_0(x: np.ndarray) -> np.ndarray:
    scale, q = _by_the_largest(x, -16)
    return np.concatenate([halves(scale), _fifth_bits(q), _nibbles(q & np.uint8(15))], axis=1)


def decode_q5_0(blocks: np.ndarray) -> np.ndarray:
    q = _from_five_bits(blocks[:, 2:6], blocks[:, 6:]).astype(np.int8) - np.int8(16)
    return floats(blocks[:, :2]) * q.astype(np.float32)


def encode_q5_1(x: np.ndarray) -> np.ndarray:
    scale, low, q = _by_the_range(x, 31)
    bits = [_fifth_bits(q), _nibbles(q & np.uint8(15))]
    return np.concatenate([halves(scale), halves(low), *bits], axis=1)


def decode_q5_1(blocks: np.ndarray) -> np.ndarray:
    q = _from_five_bits(blocks[:, 4:8], blocks[:, 8:]).astype(np.float32)
    return floats(blocks[:, :2]) * q + floats(blocks[:, 2:4])


def encode_q8_0(x: np.ndarray) -> np.ndarray:
    scale = np.abs(x).max(axis=1, keepdims=True) / 127
    ratio = x * inverse(scale)
    size = np.abs(ratio)
    whole = np.floor(size)
    rounded = np.sign(ratio) * (whole + np.floor(2 * (size - whole)))  # halves away from zero
    return np.concatenate([halves(scale), rounded.astype(np.int8).view(np.uint8)], axis=1)


def decode_q8_0(blocks: np.ndarray) -> np.ndarray:
    return blocks[:, 2:].view(np.int8).astype(np.float32) * floats(blocks[:, :2])


def encode_iq4_nl(x: np.ndarray) -> np.ndarray:
    turned = np.ascontiguousarray(x.T)
    tried = []
    for scale in symmetric(turned, -127, lambda ratio: IQ4_NL[_index(ratio)]):
        held = scale.astype(np.float16)
        of_32 = held.astype(np.float32)
        q = _index(turned * inverse(of_32))
        off = IQ4_NL[q] * of_32 - turned
        tried.append((held, q, (off * off).sum(axis=0)))
    (plain, q_plain, error_plain), (best, q_best, error) = tried
    better = error < error_plain
    scale = np.where(better, best, plain)[:, None]
    return np.concatenate([halves(scale), _nibbles(np.where(better, q_best, q_plain).T)], axis=1)


def decode_iq4_nl(blocks: np.ndarray) -> np.ndarray:
    return floats(blocks[:, :2]) * IQ4_NL[_from_nibbles(blocks[:, 2:])]


def halves(values: np.ndarray) -> np.ndarray:
    """(blocks, n) of floats -> their float16's bytes, (blocks, 2 n)."""
    return np.ascontiguousarray(values, dtype=np.float16).view(np.uint8)


def floats(data: np.ndarray) -> np.ndarray:
    """(blocks, 2 n) bytes of float16 -> (blocks, n) float32."""
    return np.ascontiguousarray(data).view(np.float16).astype(np.float32)


def _by_the_largest(x: np.ndarray, lowest: int) -> tuple[np.ndarray, np.ndarray]:
    """The scale by which the value of largest magnitude becomes `lowest`; integers from 0 up."""
    largest = np.take_along_axis(x, np.abs(x).argmax(axis=1, keepdims=True), axis=1)
    scale = largest / lowest
    shifted = np.trunc(x * inverse(scale) + np.float32(0.5 - lowest))
    return scale, shifted.astype(np.uint8).clip(0, -2 * lowest - 1)


def _by_the_range(x: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low = x.min(axis=1, keepdims=True)
    scale = (x.max(axis=1, keepdims=True) - low) / levels
    q = np.trunc((x - low) * inverse(scale) + np.float32(0.5))
    return scale, low, q.astype(np.uint8).clip(0, levels)


def _nibbles(q: np.ndarray) -> np.ndarray:
    """Values 0 to 15 in the low nibbles, 16 to 31 in the high ones."""
    return q[:, :_HALF] | q[:, _HALF:] << np.uint8(4)


def _from_nibbles(nibbles: np.ndarray) -> np.ndarray:
    return np.concatenate([nibbles & np.uint8(15), nibbles >> np.uint8(4)], axis=1)


def _fifth_bits(q: np.ndarray) -> np.ndarray:
    """Bit n of a word of 32 belongs to value n."""
    return np.packbits(q >> np.uint8(4), axis=1, bitorder="little")


def _from_five_bits(bits: np.ndarray, nibbles: np.ndarray) -> np.ndarray:
    return _from_nibbles(nibbles) | np.unpackbits(bits, axis=1, bitorder="little") << np.uint8(4)


def _index(ratio: np.ndarray) -> np.ndarray:
    """Of the nearest value of IQ4_NL, by way of the nearest integer."""
    whole = np.clip(np.rint(np.nan_to_num(ratio)), -127, 113)
    return _NEAREST[whole.astype(np.int16) + np.int16(127)]
