"""Quantised matrices for tests, and what products with them should be."""

from __future__ import annotations

import numpy as np

from gint.quantized import QuantizedFormat, QuantizedWeights, dequantize, quantize

#: Half a unit of float32, the rounding of one operation relative to its result.
UNIT = 2.0**-24
#: Where the integers lie in the blocks of formats whose values have a minimum beside.
_INTEGERS = {
    "q4_1": slice(4, None), "q5_1": slice(4, None), "q2_k": slice(16, 80),
    "q4_k": slice(16, None), "q5_k": slice(16, None),
}  # fmt: skip


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    return rng.standard_normal(shape).astype(np.float32)


def weights_of(quantized: QuantizedFormat, outputs: int, inputs: int) -> QuantizedWeights:
    values = floats(outputs, inputs, seed=1)
    return QuantizedWeights(quantize(values, quantized), (outputs, inputs), quantized)


def values_of(weights: QuantizedWeights) -> np.ndarray:
    values = np.empty(weights.shape, np.float32)
    return dequantize(weights.data, weights.shape, weights.format, values).astype(np.float64)


def sizes_of(weights: QuantizedWeights) -> np.ndarray:
    """The magnitudes that a value is made of: of scale * integer, plus that of the minimum."""
    values = values_of(weights)
    if weights.format.name not in _INTEGERS:
        return np.abs(values)
    data = weights.data.reshape(-1, weights.format.block_bytes).copy()
    data[:, _INTEGERS[weights.format.name]] = 0
    minima = values_of(QuantizedWeights(data, weights.shape, weights.format))
    return np.abs(values - minima) + np.abs(minima)


def bound_f32(x: np.ndarray, w: np.ndarray, sizes: np.ndarray | None = None) -> np.ndarray:
    """Of the error of a float32 product of (rows, in) and (out, in).

    Each product is rounded, and then passes through the additions of its block (at most 32) and of
    the blocks; on devices through those of a quarter of all inputs.
    """
    sizes = np.abs(w) if sizes is None else sizes
    return UNIT * (40 + w.shape[1] / 4) * (np.abs(x) @ sizes.T) + 1e-37


def bound_8_bits(x: np.ndarray, w: np.ndarray, sizes: np.ndarray | None = None) -> np.ndarray:
    """Of the error that rounding x to 8 bits per block adds: at most half a step each."""
    rows, outputs, blocks = len(x), len(w), w.shape[1] // 32
    step = np.abs(x).reshape(rows, blocks, 32).max(axis=2) / 127
    of_blocks = np.abs(w).reshape(outputs, blocks, 32).sum(axis=2)
    return (step / 2 * (1 + 1e-5)) @ of_blocks.T + bound_f32(x, w, sizes)
