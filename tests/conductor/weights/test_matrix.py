"""A quantised matrix: its products, its rows, and how long its number means something."""

from __future__ import annotations

import gc

import numpy as np
import pytest

pytest.importorskip("torch")

from gint.conductor.weights.matrix import QuantizedMatrix, matrix
from gint.conductor.weights.model import cpu_products
from gint.quantized import format_of
from tests.quantized.matrices import floats, values_of, weights_of

pytestmark = pytest.mark.torch
OUT, IN = 20, 64


@pytest.fixture
def made():
    return QuantizedMatrix(
        "a.weight", weights_of(format_of("q8_0"), OUT, IN), cpu_products("python")
    )


def product(m, x):
    out = np.empty((*x.shape[:-1], OUT), np.float32)
    m.multiply(x, out, False)
    return out


def test_products_and_rows(made):
    w = values_of(made.blocks)
    x = floats(6, IN).reshape(2, 3, IN)
    np.testing.assert_allclose(product(made.for_products(), x), x @ w.T, rtol=1e-4, atol=1e-3)
    ids = np.array([[3, 0], [19, 3]])
    np.testing.assert_array_equal(made.rows(ids), w[ids].astype(np.float32))


def test_bytes_are_dropped_once_packed_unless_rows_are_wanted(made):
    before = made.blocks.data.copy()
    made.for_products()
    assert made._rows is None
    np.testing.assert_array_equal(made.blocks.data, before)
    kept = QuantizedMatrix("b", weights_of(format_of("q8_0"), OUT, IN), cpu_products("python"))
    kept.for_rows().for_products()
    assert kept._rows is not None
    assert kept.nbytes == kept._packed.nbytes + kept._rows.data.nbytes


def test_native_code_reads_rows_of_what_it_packed():
    kept = QuantizedMatrix("b", weights_of(format_of("q4_k"), OUT, 256), cpu_products("cpp"))
    w, ids = values_of(kept.blocks).astype(np.float32), np.array([[3, 0], [19, 3]])
    np.testing.assert_array_equal(kept.rows(ids), w[ids])
    kept.for_products()
    assert kept._rows is None
    assert kept.nbytes == kept._packed.nbytes
    np.testing.assert_array_equal(kept.for_rows().rows(ids), w[ids])
    assert kept._rows is None


def test_its_number_is_good_as_long_as_somebody_holds_it(made):
    other = QuantizedMatrix("b", weights_of(format_of("q4_0"), OUT, IN), cpu_products("python"))
    assert matrix(made.key) is made
    assert made.key != other.key
    key = other.key
    del other
    gc.collect()
    with pytest.raises(RuntimeError, match=f"There is no quantised matrix number {key} any more"):
        matrix(key)


def test_it_says_what_it_is(made):
    assert repr(made) == "QuantizedMatrix('a.weight', (20, 64), q8_0)"
