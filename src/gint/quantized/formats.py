"""The quantised formats, in one table, and what they mean: NumPy to bytes and back.

A matrix of shape (out, in) is stored row by row, each row in blocks of 32 values along `in`: a
float16 scale and one small integer per value, which stands for scale * integer. The layouts and
the rounding are those of GGUF's Q4_0 and Q8_0 (ggml's ggml-quants.c, and the package `gguf`, which
the tests compare with bit for bit).

Knows bytes. Does not know products, backends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BLOCK = 32
_CHUNK_BLOCKS = 1 << 14  # what is converted at a time: 2 MiB as float32, so that it stays in cache


@dataclass(frozen=True)
class QuantizedFormat:
    """A block format: `code` is its number in native code, `block_bytes` includes the scale."""

    name: str
    gguf_name: str
    code: int
    block_bytes: int
    #: (blocks, 32) float32 -> (blocks, block_bytes) uint8, and back
    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]

    def row_bytes(self, inputs: int) -> int:
        """The bytes of a row of `inputs` values, a multiple of 32."""
        return inputs // BLOCK * self.block_bytes


def _encode_q40(x: np.ndarray) -> np.ndarray:
    largest = np.take_along_axis(x, np.abs(x).argmax(axis=1, keepdims=True), axis=1)
    scale = largest / -8  # of the value that is largest in size, so that it becomes exactly -8
    shifted = np.trunc(x * _inverse(scale) + np.float32(8.5))
    q = shifted.astype(np.uint8).clip(0, 15)
    nibbles = q[:, : BLOCK // 2] | q[:, BLOCK // 2 :] << np.uint8(4)
    return np.concatenate([_scale_bytes(scale), nibbles], axis=1)


def _decode_q40(blocks: np.ndarray) -> np.ndarray:
    nibbles = blocks[:, 2:]
    q = np.concatenate([nibbles & np.uint8(15), nibbles >> np.uint8(4)], axis=1)
    return _scales(blocks) * (q.astype(np.float32) - np.float32(8))


def _encode_q80(x: np.ndarray) -> np.ndarray:
    scale = np.abs(x).max(axis=1, keepdims=True) / 127
    ratio = x * _inverse(scale)
    size = np.abs(ratio)
    whole = np.floor(size)
    rounded = np.sign(ratio) * (whole + np.floor(2 * (size - whole)))  # halves away from zero
    return np.concatenate([_scale_bytes(scale), rounded.astype(np.int8).view(np.uint8)], axis=1)


def _decode_q80(blocks: np.ndarray) -> np.ndarray:
    return blocks[:, 2:].view(np.int8).astype(np.float32) * _scales(blocks)


def _inverse(scale: np.ndarray) -> np.ndarray:
    return np.where(scale == 0, np.float32(0), 1 / scale)


def _scale_bytes(scale: np.ndarray) -> np.ndarray:
    return scale.astype(np.float16).view(np.uint8)


def _scales(blocks: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)


#: The formats there are. The order is that of QuantizedFormat in quantized/quantized_table.h.
FORMATS = (
    QuantizedFormat("q40", "Q4_0", 0, 18, _encode_q40, _decode_q40),
    QuantizedFormat("q80", "Q8_0", 1, 34, _encode_q80, _decode_q80),
)

_BY_NAME = {name.lower(): f for f in FORMATS for name in (f.name, f.gguf_name)}


def format_of(quant_type: str) -> QuantizedFormat:
    """The format called `quant_type`, ours or GGUF's name in any case. Raises ValueError."""
    found = _BY_NAME.get(quant_type.lower()) if isinstance(quant_type, str) else None
    if found is None:
        known = ", ".join(f"{f.name!r} ({f.gguf_name})" for f in FORMATS)
        raise ValueError(f"quant_type is {quant_type!r}; there are {known}.")
    return found


def quantize(values: np.ndarray, quantized: QuantizedFormat) -> np.ndarray:
    """(..., in) of floats -> (..., in / 32 * block_bytes) uint8. `in` is a multiple of 32."""
    rows = values.reshape(-1, BLOCK)  # a copy only where the strides ask for one
    encoded = np.empty((len(rows), quantized.block_bytes), np.uint8)
    with np.errstate(all="ignore"):  # inf and NaN become what gguf makes of them
        for at in range(0, len(rows), _CHUNK_BLOCKS):
            chunk = rows[at : at + _CHUNK_BLOCKS].astype(np.float32, copy=False)
            encoded[at : at + _CHUNK_BLOCKS] = quantized.encode(chunk)
    return encoded.reshape(*values.shape[:-1], quantized.row_bytes(values.shape[-1]))


def dequantize(
    data: np.ndarray, shape: tuple[int, ...], quantized: QuantizedFormat, out: np.ndarray
) -> np.ndarray:
    """Bytes of blocks, in any shape, -> `out`, contiguous float32 of `shape`."""
    blocks = data.reshape(-1, quantized.block_bytes)
    decoded = out.reshape(-1, BLOCK)
    assert math.prod(shape) == decoded.size
    with np.errstate(all="ignore"):
        for at in range(0, len(blocks), _CHUNK_BLOCKS):
            decoded[at : at + _CHUNK_BLOCKS] = quantized.decode(blocks[at : at + _CHUNK_BLOCKS])
    return out.reshape(shape)
