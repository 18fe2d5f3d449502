"""Quantised matrices: the block formats of GGUF, and what products with them must offer.

A backend whose `quantized` is not None holds a `QuantizedProducts`; it stands in the backend's own
folder, as `quantized.py`. The NumPy one defines the meaning. No implementation ever writes the
dequantised matrix to memory.

    formats.py      the formats in one table; quantise and dequantise
    blocks.py       those with blocks of 32 values
    superblocks.py  those with super-blocks of 256
    scales.py       the search for a block's scale
    choice.py       which weight takes which format
    gguf_reader.py  the package gguf's reader, without the texts of a vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from gint.dataclass import frozen

from .choice import KEEP, WeightFormats
from .formats import FORMATS, QuantizedFormat, dequantize, format_of, quantize

__all__ = [
    "FORMATS",
    "KEEP",
    "PreparedWeights",
    "QuantizedFormat",
    "QuantizedProducts",
    "QuantizedWeights",
    "WeightFormats",
    "dequantize",
    "format_of",
    "quantize",
]


@frozen
class QuantizedWeights:
    """A matrix of shape (out, in) as GGUF's bytes: contiguous uint8 of out * row_bytes(in)."""

    data: np.ndarray
    shape: tuple[int, int]
    format: QuantizedFormat

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Chosen rows, dequantised: integers of any shape -> (*ids.shape, in) float32.

        Raises IndexError for one that is not there; negative ones count from the end.
        """
        outputs, inputs = self.shape
        held = self.data.reshape(outputs, self.format.row_bytes(inputs))[ids]
        shape = (*held.shape[:-1], inputs)
        return dequantize(held, shape, self.format, np.empty(shape, np.float32))


class PreparedWeights(Protocol):
    """A matrix in a layout of a backend's own, made from its bytes, which it no longer needs."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def format(self) -> QuantizedFormat: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def products(self) -> QuantizedProducts:
        """Whose layout it is."""

    def unpack(self) -> QuantizedWeights:
        """The bytes it was made from."""

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """As QuantizedWeights.rows."""


class QuantizedProducts(Protocol):
    """What a backend offers for quantised matrices."""

    @property
    def bind(self) -> Callable[[Any, bool], Callable[..., None]] | None:
        """bind(weights, quantize_activations), for prepared weights with a bytes attribute
        `recall_key`: a function (x, weights, out) for float32 arrays without gaps, of any rank, and
        any weights of the same key. None where every product goes through `multiply`.
        """

    def prepare(self, weights: QuantizedWeights, threads: int | None = None) -> PreparedWeights:
        """The weights in the layout that the products like best; an array of bytes is copied."""

    def multiply(
        self,
        x: np.ndarray,
        weights: QuantizedWeights | PreparedWeights,
        out: np.ndarray,
        quantize_activations: bool = True,
        threads: int | None = None,
    ) -> None:
        """out[i, o] <- sum over k of x[i, k] * weights[o, k], accumulated in float32.

        `x` (rows, in) and `out` (rows, out) are float32 of any strides and do not overlap; prepared
        weights are this backend's own. With `quantize_activations`, an implementation may round x
        to 8 bits per block of 32: to the nearest multiple of the block's largest magnitude / 127.
        A row that holds a value that is not finite is taken as it is. The result does not depend on
        `threads`, the largest number of them (None: the backend's own).
        """
