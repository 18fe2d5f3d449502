"""The quantised formats, in one table, and what they mean: NumPy to bytes and back.

A matrix of shape (out, in) is stored row by row, each row in blocks of 32 or 256 values along `in`.
The layouts are those of GGUF (ggml's ggml-common.h and ggml-quants.c); what bytes mean is compared
bit for bit with the package `gguf` by the tests, and so is what it quantises itself: Q4_0 to Q8_0.

    name          bits  a value is
    q4_0, q5_0    4.5, 5.5    d * q                         blocks of 32, d by the largest magnitude
    q8_0          8.5         d * q                         likewise
    q4_1, q5_1    5, 6        d * q + m                     blocks of 32, by the range
    iq4_nl        4.5         d * table[q]                  blocks of 32
    q2_k          2.625       d * scale * q - dmin * min    blocks of 16, 4-bit scales
    q4_k, q5_k    4.5, 5.5    the same                      blocks of 32, 6-bit scales
    q3_k          3.4375      d * scale * q                 blocks of 16, 6-bit scales
    q6_k          6.5625      the same                      blocks of 16, 8-bit scales

Knows bytes. Does not know products, backends.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gint.dataclass import frozen

from . import blocks, superblocks

_CHUNK_VALUES = 1 << 17  # converted at a time, 512 KiB as float32: what that takes stays in cache


@frozen
class QuantizedFormat:
    """A block format: `block` values are `block_bytes`, scales included."""

    name: str
    block: int
    block_bytes: int
    #: (blocks, block) float32 -> (blocks, block_bytes) uint8, and back
    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    #: what the name is too
    alias: str = ""

    @property
    def gguf_name(self) -> str:
        """As GGUF writes it: Q4_0, Q6_K."""
        return self.name.upper()

    def row_bytes(self, inputs: int) -> int:
        """The bytes of a row of `inputs` values, a multiple of `block`."""
        return inputs // self.block * self.block_bytes


def _format(name: str, block: int, block_bytes: int, alias: str = "") -> QuantizedFormat:
    where = blocks if block == 32 else superblocks
    encode, decode = (getattr(where, f"{verb}_{name}") for verb in ("encode", "decode"))
    return QuantizedFormat(name, block, block_bytes, encode, decode, alias)


#: The formats there are.
FORMATS = (
    _format("q4_0", 32, 18, alias="q40"),
    _format("q4_1", 32, 20),
    _format("q5_0", 32, 22),
    _format("q5_1", 32, 24),
    _format("q8_0", 32, 34, alias="q80"),
    _format("iq4_nl", 32, 18),
    _format("q2_k", 256, 84),
    _format("q3_k", 256, 110),
    _format("q4_k", 256, 144),
    _format("q5_k", 256, 176),
    _format("q6_k", 256, 210),
)

_BY_NAME = {name: f for f in FORMATS for name in (f.name, f.alias) if name}


def format_of(quant_type: str) -> QuantizedFormat:
    """The format of that name, in any case: GGUF's, or "q40", "q80". Raises ValueError."""
    found = _BY_NAME.get(quant_type.lower()) if isinstance(quant_type, str) else None
    if found is None:
        known = ", ".join(f.name for f in FORMATS)
        raise ValueError(f"{quant_type!r} is no format of blocks. There are: {known}.")
    return found


def quantize(values: np.ndarray, quantized: QuantizedFormat) -> np.ndarray:
    """(..., in) of floats -> (..., row_bytes(in)) uint8. `in` is a multiple of the block."""
    rows = values.reshape(-1, quantized.block)  # a copy only where the strides ask for one
    encoded = np.empty((len(rows), quantized.block_bytes), np.uint8)
    step = _CHUNK_VALUES // quantized.block
    with np.errstate(all="ignore"):  # inf and NaN become what gguf makes of them
        for at in range(0, len(rows), step):
            chunk = rows[at : at + step].astype(np.float32, copy=False)
            encoded[at : at + step] = quantized.encode(chunk)
    return encoded.reshape(*values.shape[:-1], quantized.row_bytes(values.shape[-1]))


def dequantize(
    data: np.ndarray, shape: tuple[int, ...], quantized: QuantizedFormat, out: np.ndarray
) -> np.ndarray:
    """Bytes of blocks, in any shape, -> `out`, contiguous float32 of `shape`."""
    rows = data.reshape(-1, quantized.block_bytes)
    decoded = out.reshape(-1, quantized.block)
    assert math.prod(shape) == decoded.size
    step = _CHUNK_VALUES // quantized.block
    with np.errstate(all="ignore"):
        for at in range(0, len(rows), step):
            decoded[at : at + step] = quantized.decode(rows[at : at + step])
    return out.reshape(shape)
