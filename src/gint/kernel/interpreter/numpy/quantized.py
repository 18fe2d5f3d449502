"""Quantised products in NumPy: a few output rows dequantised at a time.

Defines the meaning: float32 products of the dequantised weights.
"""

from __future__ import annotations

import numpy as np

from gint.quantized import PreparedWeights, QuantizedProducts, QuantizedWeights
from gint.quantized.formats import QuantizedFormat, dequantize

_CHUNK_VALUES = 1 << 20  # dequantised at a time: 4 MiB


class NumpyWeights:
    """Prepared weights that are their bytes."""

    def __init__(self, products: NumpyProducts, weights: QuantizedWeights) -> None:
        self.products: QuantizedProducts = products
        self.weights = QuantizedWeights(weights.data.copy(), weights.shape, weights.format)

    def unpack(self) -> QuantizedWeights:
        return self.weights

    def rows(self, ids: np.ndarray) -> np.ndarray:
        return self.weights.rows(ids)

    @property
    def shape(self) -> tuple[int, int]:
        return self.weights.shape

    @property
    def format(self) -> QuantizedFormat:
        return self.weights.format

    @property
    def nbytes(self) -> int:
        return self.weights.data.nbytes

    def __repr__(self) -> str:
        return f"NumpyWeights(shape={self.shape}, {self.format.name})"


class NumpyProducts:
    """The dequantised weights of some output rows, times x by NumPy's float32 product."""

    bind = None

    def prepare(self, weights: QuantizedWeights, threads: int | None = None) -> NumpyWeights:
        """A copy of the bytes: there is no better layout here."""
        return NumpyWeights(self, weights)

    def multiply(
        self,
        x: np.ndarray,
        weights: QuantizedWeights | PreparedWeights,
        out: np.ndarray,
        quantize_activations: bool = True,
        threads: int | None = None,
    ) -> None:
        """See QuantizedProducts. Activations are never rounded."""
        if not isinstance(weights, QuantizedWeights):
            weights = weights.unpack()
        outputs, inputs = weights.shape
        rows = weights.data.reshape(outputs, weights.format.row_bytes(inputs))
        step = max(1, _CHUNK_VALUES // max(1, inputs))
        values = np.empty((min(step, outputs), inputs), np.float32)
        with np.errstate(all="ignore"):
            for at in range(0, outputs, step):
                chunk = rows[at : at + step]
                shape = (len(chunk), inputs)
                dequantize(chunk, shape, weights.format, values[: len(chunk)])
                np.matmul(x, values[: len(chunk)].T, out=out[:, at : at + step])
