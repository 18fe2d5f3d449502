"""Quantised products of the C++ module.

Knows how to hand matrices to `_native`, which packs weights for the instruction set in use and
rounds activations to 8 bits. Does not know formats' bytes, tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import PreparedWeights, QuantizedProducts, QuantizedWeights
from .formats import QuantizedFormat


class PackedWeights:
    """Weights in the native layout: as many bytes, the blocks of 16 rows interleaved."""

    def __init__(
        self, products: CppProducts, native: Any, shape: tuple[int, int], format: QuantizedFormat
    ) -> None:
        self.products: QuantizedProducts = products
        self.native, self.shape, self.format = native, shape, format
        #: Products with weights of the same key are made in the same way (airllm's recall.py).
        self.recall_key = f"{format.name} {shape}".encode()

    @property
    def nbytes(self) -> int:
        return self.native.nbytes

    def unpack(self) -> QuantizedWeights:
        """The bytes they were made from."""
        outputs, inputs = self.shape
        data = np.empty((outputs, self.format.row_bytes(inputs)), np.uint8)
        self.native.unpack(data)
        return QuantizedWeights(data, self.shape, self.format)

    def __reduce__(self) -> Any:
        raise TypeError("Prepared weights belong to their process; pickle unpack().data instead.")

    def __repr__(self) -> str:
        return f"PackedWeights(shape={self.shape}, {self.format.name})"


class CppProducts:
    """Products in native code, on several threads where there is enough to do."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def prepare(self, weights: QuantizedWeights, threads: int | None = None) -> PackedWeights:
        """Pack the weights: copied once, as fast as they can be read and written."""
        code, shape = weights.format.code, weights.shape
        native = self._native.PackedWeights(code, shape, weights.data, threads or 0)
        return PackedWeights(self, native, weights.shape, weights.format)

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
        held = weights.native if isinstance(weights, PackedWeights) else weights.data  # type: ignore[union-attr]
        how = weights.format.code, weights.shape
        options = quantize_activations, threads or 0
        if self._native.quantized_multiply(held, *how, x, out, *options):
            return
        result = np.empty(out.shape, out.dtype)
        self._native.quantized_multiply(held, *how, np.ascontiguousarray(x), result, *options)
        out[...] = result


def read_all(native: Any, memory: np.ndarray, threads: int) -> int:
    """Read contiguous memory as fast as the products could: the bound that benchmarks measure."""
    return native.read_all(memory, threads)
