"""What blocks mean, and how far that is from the values they were made of."""

from __future__ import annotations

import numpy as np

from gint.quantized import FORMATS, QuantizedFormat, dequantize, quantize

#: Formats whose encoders the package gguf has too: ours give the same bits.
BY_GGUF = [f for f in FORMATS if f.name in ("q4_0", "q5_0", "q8_0", "q4_1", "q5_1")]
#: Those whose scales are searched.
SEARCHED = [f for f in FORMATS if f not in BY_GGUF]


def decoded(data: np.ndarray, shape: tuple[int, ...], quantized: QuantizedFormat) -> np.ndarray:
    return dequantize(data, shape, quantized, np.empty(shape, np.float32))


def rms_of(values: np.ndarray, quantized: QuantizedFormat) -> np.ndarray:
    """The root mean square of the errors of every block."""
    found = decoded(quantize(values, quantized), values.shape, quantized).astype(np.float64)
    return np.sqrt(((found - values) ** 2).reshape(-1, quantized.block).mean(axis=1))


def weights_like(exponent: float, shift: float, heavy: bool, seed: int) -> np.ndarray:
    """(3, 512) random values of any magnitude, shifted, with heavy tails, with zeros among them."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((3, 512)) ** (3 if heavy else 1) + shift
    values = (values * 10.0**exponent).astype(np.float32)
    values[rng.random(values.shape) < rng.choice([0, 0.1, 0.9])] = 0
    return values
