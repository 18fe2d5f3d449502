"""The formats against the package `gguf`, bit for bit, in both directions."""

from __future__ import annotations

import tracemalloc
import warnings

import gguf
import gguf.quants
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gint.quantized import FORMATS, dequantize, format_of, quantize

GGUF_TYPES = {f.name: gguf.GGMLQuantizationType[f.gguf_name] for f in FORMATS}
formats = pytest.mark.parametrize("quantized", FORMATS, ids=lambda f: f.name)

SPECIAL = [0.0, -0.0, 1.0, -8.0, 127.0, 0.5, 1e-45, -1e-40, 6e-8, 3e38, np.inf, -np.inf, np.nan]
blocks = st.tuples(st.integers(1, 3), st.integers(1, 4)).flatmap(
    lambda n: arrays(
        np.float32,
        (n[0], 32 * n[1]),
        elements=st.one_of(st.sampled_from(SPECIAL), st.floats(width=32), st.integers(-9, 9)),
    )
)


def as_gguf_has_it(values, quantized):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return gguf.quants.quantize(values, GGUF_TYPES[quantized.name])


def decoded(data, shape, quantized):
    return dequantize(data, shape, quantized, np.empty(shape, np.float32))


@formats
def test_sizes(quantized):
    assert gguf.GGML_QUANT_SIZES[GGUF_TYPES[quantized.name]] == (32, quantized.block_bytes)
    assert FORMATS[quantized.code] is quantized


@formats
@given(values=blocks)
def test_quantise(quantized, values):
    found = quantize(values, quantized)
    np.testing.assert_array_equal(found, as_gguf_has_it(values, quantized))


@formats
@given(exponent=st.floats(-46, 37), seed=st.integers(0, 2**32 - 1))
def test_quantise_ordinary_weights(quantized, exponent, seed):
    values = np.random.default_rng(seed).standard_normal((5, 96)) * 10.0**exponent
    values = values.astype(np.float32)
    found = quantize(values, quantized)
    np.testing.assert_array_equal(found, as_gguf_has_it(values, quantized))


@formats
@given(data=st.data(), n=st.integers(1, 40))
def test_dequantise_any_bytes(quantized, data, n):
    raw = np.frombuffer(data.draw(st.binary(min_size=n * 34, max_size=n * 34)), np.uint8)
    raw = raw[: n * quantized.block_bytes].reshape(1, -1)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(raw, GGUF_TYPES[quantized.name])
    found = decoded(raw, (1, 32 * n), quantized)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@formats
def test_nibbles_and_signs(quantized):
    """The layout in words: low nibbles are the first 16 values; -8 and -127 are in the range."""
    values = np.arange(-8, 24, dtype=np.float32) % 16 - 8  # -8 occurs, nothing is larger
    data = quantize(values, quantized)
    if quantized.name == "q40":
        nibbles = data[2:]
        q = np.concatenate([nibbles & 15, nibbles >> 4])
        np.testing.assert_array_equal(q, values + 8)
    else:
        np.testing.assert_array_equal(data[2:].view(np.int8), np.rint(values * 127 / 8))
    assert data[:2].view(np.float16)[0] == np.float16(8 / (8 if quantized.name == "q40" else 127))


@formats
def test_strides_and_leading_shapes(quantized):
    values = np.random.default_rng(0).standard_normal((4, 3, 2, 128)).astype(np.float32)
    for view in (
        values[::2],
        values[..., ::2],
        values[::-1, :, ::-1],
        values.transpose(1, 0, 2, 3),
    ):
        found = quantize(view, quantized)
        assert found.shape == (*view.shape[:-1], quantized.row_bytes(view.shape[-1]))
        np.testing.assert_array_equal(found, quantize(view.copy(), quantized))


@formats
@pytest.mark.parametrize("shape", [(0,), (0, 32), (3, 0), (2, 0, 64)], ids=str)
def test_nothing(quantized, shape):
    data = quantize(np.empty(shape, np.float32), quantized)
    assert data.dtype == np.uint8
    assert data.shape == (*shape[:-1], quantized.row_bytes(shape[-1]))
    assert decoded(data, shape, quantized).shape == shape


@formats
def test_temporaries_are_small(quantized):
    values = np.zeros((2048, 4096), np.float16)  # 32 MiB as float32
    tracemalloc.start()
    data = quantize(values, quantized)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < data.nbytes + (20 << 20)


def test_names():
    assert [format_of(n) for n in ("q40", "Q40", "Q4_0", "q4_0")] == [FORMATS[0]] * 4
    assert [format_of(n) for n in ("q80", "Q8_0")] == [FORMATS[1]] * 2
    with pytest.raises(ValueError, match=r"quant_type is 'q4_1'; there are 'q40' \(Q4_0\), 'q80'"):
        format_of("q4_1")
    with pytest.raises(ValueError, match="quant_type is 40"):
        format_of(40)
