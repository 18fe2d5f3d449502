"""Quantised matrices for tests, and what products with them should be."""

from __future__ import annotations

import numpy as np

from gint.quantized import QuantizedFormat, QuantizedWeights, dequantize, quantize

#: Half a unit of float32, the rounding of one operation relative to its result.
UNIT = 2.0**-24


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    return rng.standard_normal(shape).astype(np.float32)


def weights_of(quantized: QuantizedFormat, outputs: int, inputs: int) -> QuantizedWeights:
    values = floats(outputs, inputs, seed=1)
    return QuantizedWeights(quantize(values, quantized), (outputs, inputs), quantized)


def values_of(weights: QuantizedWeights) -> np.ndarray:
    values = np.empty(weights.shape, np.float32)
    return dequantize(weights.data, weights.shape, weights.format, values).astype(np.float64)


def bound_f32(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Of the error of a float32 product of (rows, in) and (out, in).

    Each product is rounded, and then passes through the additions of its block (at most 32) and of
    the blocks; on devices through those of a quarter of all inputs.
    """
    return UNIT * (40 + w.shape[1] / 4) * (np.abs(x) @ np.abs(w).T) + 1e-37


def bound_8_bits(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Of the error that rounding x to 8 bits per block adds: at most half a step each."""
    rows, outputs, blocks = len(x), len(w), w.shape[1] // 32
    step = np.abs(x).reshape(rows, blocks, 32).max(axis=2) / 127
    sizes = np.abs(w).reshape(outputs, blocks, 32).sum(axis=2)
    return (step / 2 * (1 + 1e-5)) @ sizes.T + bound_f32(x, w)
