"""Arrays of the types that operations read and write, and how close their results must be.

The tolerance is relative to the size of what is added up: float32 has 2**-24. Storage types add
half a unit of their own, for the rounding of the result.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

STORAGE = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
SHAPES = [(1,), (7,), (3, 1), (1, 64), (5, 31), (2, 3, 128), (0, 4), (4, 0), (2, 0, 3), (3, 4099)]


def floats(shape, storage="float32", seed=0):
    rng = np.random.default_rng([seed, *shape])
    dtype = ml_dtypes.bfloat16 if storage == "bfloat16" else np.dtype(storage)
    return np.asarray(2 * rng.standard_normal(shape)).astype(dtype)


def wide(a):
    return a.astype(np.float64)


def assert_close(found, expected, scale=None, units=8):
    """Within `units` units of float32 of the scale, and half a unit of the result's own type."""
    assert found.shape == expected.shape
    expected = np.asarray(expected, np.float64)
    scale = np.maximum(1.0, np.abs(expected)) if scale is None else scale
    bound = units * STORAGE["float32"] * scale
    bound = bound + STORAGE[found.dtype.name] * np.abs(expected) * 1.01 + 1e-7
    error = np.abs(wide(found) - expected)
    assert np.all((error <= bound) | (np.isnan(expected) & np.isnan(wide(found)))), error.max()
