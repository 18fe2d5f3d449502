"""Products on every backend that has some, against float64 products of the dequantised weights."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.backend import registry
from gint.quantized import FORMATS, QuantizedProducts, QuantizedWeights
from tests.quantized.matrices import (
    bound_8_bits,
    bound_f32,
    floats,
    sizes_of,
    values_of,
    weights_of,
)

formats = pytest.mark.parametrize("quantized", FORMATS, ids=lambda f: f.name)
#: rows, out, blocks of 32 or 256
SHAPES = [
    (1, 1, 1), (1, 16, 2), (1, 17, 3), (2, 31, 1), (3, 100, 5), (7, 53, 4), (8, 16, 3), (0, 3, 2),
    (33, 33, 2), (32, 5, 1), (130, 19, 3), (1, 3, 5), (2, 100, 2),
]  # fmt: skip


@pytest.fixture
def products(backend) -> QuantizedProducts:
    return registry.backend(backend).quantized


def product(products, x, weights, outputs, **options):
    out = np.full((len(x), outputs), np.nan, np.float32)
    products.multiply(x, weights, out, **options)
    return out


def assert_within(found, expected, bound):
    assert np.all(np.abs(found - expected) <= bound), (np.abs(found - expected) / bound).max()


@formats
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_error_is_bounded(products, quantized, shape):
    rows, outputs, inputs = *shape[:2], shape[2] * quantized.block
    weights, x = weights_of(quantized, outputs, inputs), floats(rows, inputs)
    w, sizes = values_of(weights), sizes_of(weights)
    expected = x.astype(np.float64) @ w.T
    for held in (weights, products.prepare(weights)):
        exact = product(products, x, held, outputs, quantize_activations=False)
        assert_within(exact, expected, bound_f32(x, w, sizes))
        rounded = product(products, x, held, outputs)
        assert_within(rounded, expected, bound_8_bits(x, w, sizes))


@formats
@given(
    rows=st.integers(0, 20), outputs=st.integers(0, 40), blocks=st.integers(0, 9), data=st.data()
)
def test_odd_layouts(quantized, rows, outputs, blocks, data):
    """Any strides of x and of the result; nothing beyond the result is written."""
    for name in ("cpp", "python"):
        if not registry.probe(name).usable:
            continue
        products = registry.backend(name).quantized
        inputs = blocks * 32 if quantized.block == 32 else blocks % 4 * 256
        weights = weights_of(quantized, outputs, inputs)
        step = data.draw(st.sampled_from([1, 2, -1]))
        x = floats(rows, inputs * 2)[:, ::step][:, :inputs]
        if data.draw(st.booleans()):
            x = np.asfortranarray(x)
        frame = np.full((rows + 2, outputs + 3), 7, np.float32)
        out = frame[1:-1, 1:-2]
        if data.draw(st.booleans()):
            frame = np.full((outputs + 3, rows + 2), 7, np.float32).T
            out = frame[1:-1, 1:-2]
        products.multiply(x, weights, out)
        w, sizes = values_of(weights), sizes_of(weights)
        assert_within(out, x.astype(np.float64) @ w.T, bound_8_bits(x, w, sizes))
        out[...] = 7
        assert np.all(frame == 7)


@formats
def test_bits_depend_on_nothing_else(products, quantized):
    """Not on threads, on packing, or on what other rows there are."""
    outputs, inputs = 210, 768
    weights, x = weights_of(quantized, outputs, inputs), floats(37, inputs)
    packed = products.prepare(weights)
    for quantize in (True, False):
        options = {"quantize_activations": quantize}
        first = product(products, x, packed, outputs, threads=1, **options)
        for threads in (2, 3, None):
            for held in (weights, packed):
                again = product(products, x, held, outputs, threads=threads, **options)
                np.testing.assert_array_equal(first, again)


@formats
@pytest.mark.cpp
def test_a_row_has_the_same_bits_alone(quantized):
    products = registry.backend("cpp").quantized
    weights, x = weights_of(quantized, 33, 512), floats(23, 512)
    for quantize in (True, False):
        together = product(products, x, weights, 33, quantize_activations=quantize)
        alone = [
            product(products, r, weights, 33, quantize_activations=quantize) for r in x[:, None]
        ]
        np.testing.assert_array_equal(together, np.concatenate(alone))


@formats
def test_values_without_a_form_in_8_bits(products, quantized):
    """inf, NaN and magnitudes whose scale float32 cannot hold: as NumPy has it."""
    weights = weights_of(quantized, 20, 256)
    w, sizes = values_of(weights), sizes_of(weights)
    x = np.tile(floats(1, 256), (9, 1))
    x[1, 5], x[2, 64], x[3, 0] = np.nan, np.inf, -np.inf
    x[4, :32] *= 1e-38
    x[5] *= 1e-33
    x[6] *= 1e34
    x[7, 32:64] = 0
    x[8] = 0
    found = product(products, x, weights, 20)
    with np.errstate(all="ignore"):
        expected = x.astype(np.float64) @ w.T
    special = slice(1, 4)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(found[special], expected[special].astype(np.float32))
    ordinary = [0, 4, 5, 6, 7, 8]
    assert_within(found[ordinary], expected[ordinary], bound_8_bits(x[ordinary], w, sizes))


#: Where the float16 scales lie in a block.
SCALES = {
    "q4_1": [0, 2], "q5_1": [0, 2], "q4_k": [0, 2], "q5_k": [0, 2], "q2_k": [80, 82],
    "q3_k": [108], "q6_k": [208],
}  # fmt: skip


def set_scales(weights, halves):
    """All the float16 scales of row n become halves[n]."""
    data = weights.data.reshape(len(halves), -1, weights.format.block_bytes)
    for at in SCALES.get(weights.format.name, [0]):
        data[:, :, at : at + 2] = np.asarray(halves, np.float16).view(np.uint8).reshape(-1, 1, 2)


@formats
def test_scales_of_every_kind(products, quantized):
    """Zero, denormal, largest and negative scales; NaN reaches its own output row alone."""
    weights = weights_of(quantized, 6, 512)
    set_scales(weights, [0.0, 6e-8, 65504, -1.5, np.nan, 1.0])
    x = floats(3, 512)
    w, sizes = values_of(weights), sizes_of(weights)
    found = product(products, x, weights, 6)
    sound = [0, 1, 2, 3, 5]
    expected = x.astype(np.float64) @ w[sound].T
    assert_within(found[:, sound], expected, bound_8_bits(x, w[sound], sizes[sound]))
    assert np.all(np.isnan(found[:, 4]))


@formats
def test_every_byte(products, quantized):
    """Whatever stands for integers and for integer scales, -128 among it."""
    weights = weights_of(quantized, 24, 2048)
    data = np.random.default_rng(0).integers(0, 256, weights.data.shape, np.uint8)
    data[:, ::7] = 128
    weights.data[...] = data
    set_scales(weights, [0.5] * 24)
    x = np.ones((9, 2048), np.float32)
    x[:, ::3] = -1  # what 8 bits hold exactly
    w, sizes = values_of(weights), sizes_of(weights)
    found = product(products, x, weights, 24)
    assert_within(found, x.astype(np.float64) @ w.T, bound_f32(x, w, sizes))


@formats
@pytest.mark.parametrize("byte", [0, 127, 128, 255])
def test_hostile_bytes(products, quantized, byte):
    """Scales that are NaN or infinite, all bits set or none: no crash, no reading beyond."""
    data = np.full((17, quantized.row_bytes(768)), byte, np.uint8)
    weights = QuantizedWeights(data, (17, 768), quantized)
    w = values_of(weights)
    for held in (weights, products.prepare(weights)):
        for rounds in (True, False):
            found = product(products, floats(3, 768), held, 17, quantize_activations=rounds)
            assert found.shape == (3, 17)
            if not np.all(np.isfinite(w)):
                assert not np.any(np.isfinite(found))


@formats
@pytest.mark.parametrize("shape", [(1, 1), (16, 2), (37, 3), (0, 1), (3, 0)], ids=str)
def test_prepared_weights(products, quantized, shape):
    shape = (shape[0], shape[1] * quantized.block)
    weights = weights_of(quantized, *shape)
    prepared = products.prepare(weights)
    assert (prepared.shape, prepared.format) == (shape, quantized)
    np.testing.assert_array_equal(prepared.unpack().data, weights.data)
    if shape[0]:
        ids = np.array([[0, shape[0] - 1], [shape[0] // 2, 0]])
        np.testing.assert_array_equal(prepared.rows(ids), weights.rows(ids))
    with pytest.raises(IndexError):
        prepared.rows(np.array([shape[0]]))
    weights.data[...] = 0  # they are a copy
    assert np.all(prepared.unpack().data == weights_of(quantized, *shape).data)


@formats
def test_the_matrix_is_never_written_out(backend, products, quantized):
    outputs, inputs = 4096, 2048  # 32 MiB as float32
    weights = weights_of(quantized, outputs, inputs)
    x, out = floats(4, inputs), np.empty((4, outputs), np.float32)
    before = resident()
    tracemalloc.start()
    products.multiply(x, weights, out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert resident() - before < 20 << 20


def resident() -> int:
    """The most memory this process has ever had."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
