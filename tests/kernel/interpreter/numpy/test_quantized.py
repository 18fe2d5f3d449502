"""Quantised products in NumPy: products of the dequantised weights, some rows at a time."""

import numpy as np
import pytest

from gint.kernel.interpreter.numpy import quantized
from gint.kernel.interpreter.numpy.quantized import NumpyProducts
from gint.quantized import format_of
from tests.quantized.matrices import floats, values_of, weights_of

PRODUCTS = NumpyProducts()


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_rows_are_dequantised_some_at_a_time(monkeypatch, chunk):
    monkeypatch.setattr(quantized, "_CHUNK_VALUES", chunk)
    weights, x = weights_of(format_of("q4_k"), 7, 256), floats(3, 256)
    out = np.empty((3, 7), np.float32)
    for given in (weights, PRODUCTS.prepare(weights)):
        PRODUCTS.multiply(x, given, out)
        np.testing.assert_allclose(out, x @ values_of(weights).T, rtol=1e-3, atol=1e-2)


def test_prepared_weights_are_a_copy():
    weights = weights_of(format_of("q8_0"), 4, 32)
    made = PRODUCTS.prepare(weights)
    assert made.shape == weights.shape
    assert made.nbytes == weights.data.nbytes
    assert not np.shares_memory(made.unpack().data, weights.data)
    np.testing.assert_array_equal(made.rows(np.array([3, 0])), weights.rows(np.array([3, 0])))
    assert repr(made) == "NumpyWeights(shape=(4, 32), q8_0)"
