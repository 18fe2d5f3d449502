"""Quantised products of the C++ module.

Knows how to hand matrices to `_native`, which packs weights for the instruction set in use and
rounds activations to 8 bits. Does not know formats' bytes, tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gint.native.loader import load_native
from gint.quantized import (
    PreparedWeights,
    QuantizedProducts,
    QuantizedWeights,
    format_of,
)

_native: Any = load_native()
#: The formats' numbers in native code.
_CODES = {format_of(name): code for code, (name, _) in enumerate(_native.quantized_formats())}


class PackedWeights(_native.PackedWeights):
    """Weights in the native layout: as many bytes, the blocks of 16 rows interleaved."""

    def __init__(
        self, products: CppProducts, weights: QuantizedWeights, threads: int | None
    ) -> None:
        super().__init__(_CODES[weights.format], weights.shape, weights.data, threads or 0)
        self.products: QuantizedProducts = products
        self.shape, self.format = weights.shape, weights.format
        #: Products with weights of the same key are made in the same way (host/recall.py).
        self.recall_key = f"{self.format.name} {self.shape}".encode()

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """See PreparedWeights."""
        numbers = np.ascontiguousarray(ids, np.int64)
        values = np.empty((*np.shape(ids), self.shape[1]), np.float32)
        self.decode_rows(numbers, values)
        return values

    def unpack(self) -> QuantizedWeights:
        """The bytes they were made from."""
        outputs, inputs = self.shape
        data = np.empty((outputs, self.format.row_bytes(inputs)), np.uint8)
        self.unpack_into(data)
        return QuantizedWeights(data, self.shape, self.format)

    def __reduce__(self) -> Any:
        raise TypeError("Prepared weights belong to their process; pickle unpack().data instead.")

    def __repr__(self) -> str:
        return f"PackedWeights(shape={self.shape}, {self.format.name})"


class CppProducts:
    """Products in native code, on several threads where there is enough to do."""

    def prepare(self, weights: QuantizedWeights, threads: int | None = None) -> PackedWeights:
        """Pack the weights: copied once, as fast as they can be read and written."""
        return PackedWeights(self, weights, threads)

    def bind(
        self, weights: PackedWeights, quantize_activations: bool
    ) -> Callable[[np.ndarray, PackedWeights, np.ndarray], None]:
        """See QuantizedProducts."""
        return _native.Product(_CODES[weights.format], weights.shape, quantize_activations, 0)

    def multiply(
        self,
        x: np.ndarray,
        weights: QuantizedWeights | PreparedWeights,
        out: np.ndarray,
        quantize_activations: bool = True,
        threads: int | None = None,
    ) -> None:
        """See QuantizedProducts. Weights not packed are packed on the way, 16 rows at a time.

        The bits of a row's result depend on that row and the weights alone: not on threads, other
        rows, or whether the weights are packed.
        """
        held = weights if isinstance(weights, PackedWeights) else weights.data  # type: ignore[union-attr]
        product = _native.Product(
            _CODES[weights.format], weights.shape, quantize_activations, threads or 0
        )
        if product.try_multiply(held, x, out):
            return
        result = np.empty(out.shape, out.dtype)
        product(np.ascontiguousarray(x), held, result)
        out[...] = result


def read_all(memory: np.ndarray, threads: int) -> int:
    """Read contiguous memory as fast as the products could: the bound that benchmarks measure."""
    return _native.read_all(memory, threads)
