"""Products with matrices in blocks, and rows of them, on arrays: values, types, what is refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from gint.operators.quantized import quantized_embedding, quantized_linear
from gint.quantized import FORMATS, format_of
from tests.quantized.matrices import (
    bound_8_bits,
    bound_f32,
    floats,
    sizes_of,
    values_of,
    weights_of,
)


def blocks_of(weights):
    return weights.data.reshape(weights.shape[0], -1)


@pytest.mark.parametrize("quantized", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("rounds", [True, False])
@pytest.mark.parametrize("is_constant", [True, False])
def test_products(quantized, rounds, is_constant):
    """What is packed of a constant gives what is packed anew each time."""
    weights, bias = weights_of(quantized, 19, 2 * quantized.block), floats(19)
    w, blocks = values_of(weights), blocks_of(weights)
    blocks.flags.writeable = not is_constant
    for x in (floats(3, w.shape[1]), floats(1, w.shape[1]), floats(2, w.shape[1])[::-1]):
        found = quantized_linear(x, bias, blocks, quantized.name, rounds)
        bound = (bound_8_bits if rounds else bound_f32)(x, w, sizes_of(weights))
        assert np.all(np.abs(found - (x.astype(np.float64) @ w.T + bias)) <= bound + 1e-6)


@pytest.mark.parametrize("lead", [(), (0,), (1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_shapes_and_types_are_those_of_x(lead, dtype):
    weights = weights_of(format_of("q8_0"), 5, 64)
    x = floats(*lead, 64).astype(dtype)
    found = quantized_linear(x, None, blocks_of(weights), "q8_0", False)
    assert (found.shape, found.dtype) == ((*lead, 5), dtype)
    wanted = x.astype(np.float64) @ values_of(weights).T
    np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=2**-7, atol=1e-4)


def test_a_row_of_nan_stays_one():
    weights, x = weights_of(format_of("q4_0"), 5, 64), floats(3, 64)
    x[1, 7] = np.nan
    found = quantized_linear(x, None, blocks_of(weights), "q4_0", True)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()


def test_rows():
    weights = weights_of(format_of("q6_k"), 7, 256)
    w, blocks = values_of(weights), blocks_of(weights)
    for ids in (np.array(3), np.array([[6, 0], [0, 5]]), np.empty((0, 2), np.int64)):
        found = quantized_embedding(ids, blocks, "q6_k", np.dtype(np.float16))
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, w[ids].astype(np.float16))
    for ids in (np.array([7]), np.array([-1])):
        with pytest.raises(IndexError, match="index out of range"):
            quantized_embedding(ids, blocks, "q6_k", np.dtype(np.float32))


def test_what_does_not_fit_is_said():
    blocks = blocks_of(weights_of(format_of("q8_0"), 5, 64))
    for x in (np.ones((2, 32), np.float32), np.float32(1)):
        with pytest.raises(ValueError, match=r"a matrix \(5, 64\) does not take x of shape"):
            quantized_linear(np.asarray(x), None, blocks, "q8_0", True)
    for dtype in (np.float64, np.int32):
        with pytest.raises(TypeError, match=f"takes float32 or a half type, not {np.dtype(dtype)}"):
            quantized_linear(np.ones((2, 64), dtype), None, blocks, "q8_0", True)
    for wrong in (blocks[:, 1:], blocks[0], blocks.astype(np.int16)):
        with pytest.raises(ValueError, match=r"q8_0 is uint8 \(out, a multiple of 34\)"):
            quantized_linear(np.ones((2, 64), np.float32), None, wrong, "q8_0", True)
    with pytest.raises(ValueError, match="'q9' is no format of blocks"):
        quantized_embedding(np.array([0]), blocks, "q9", np.dtype(np.float32))
