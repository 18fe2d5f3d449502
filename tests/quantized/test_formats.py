"""The formats against the package `gguf`, bit for bit, in both directions where it has both."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path

import gguf
import gguf.quants
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gint.quantized import FORMATS, QuantizedWeights, dequantize, format_of, quantize, superblocks

PAGE = Path(__file__).resolve().parents[2] / "docs/quantized.md"
GGUF_TYPES = {f.name: gguf.GGMLQuantizationType[f.gguf_name] for f in FORMATS}
SYMMETRIC = ("q4_0", "q5_0", "q8_0")
BY_GGUF = [f for f in FORMATS if f.name in (*SYMMETRIC, "q4_1", "q5_1")]
SEARCHED = [f for f in FORMATS if f not in BY_GGUF]
formats = pytest.mark.parametrize("quantized", FORMATS, ids=lambda f: f.name)
by_gguf = pytest.mark.parametrize("quantized", BY_GGUF, ids=lambda f: f.name)
searched = pytest.mark.parametrize("quantized", SEARCHED, ids=lambda f: f.name)

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
    assert gguf.GGML_QUANT_SIZES[GGUF_TYPES[quantized.name]] == (
        quantized.block,
        quantized.block_bytes,
    )


@by_gguf
@given(values=blocks)
def test_quantise(quantized, values):
    found = quantize(values, quantized)
    np.testing.assert_array_equal(found, as_gguf_has_it(values, quantized))


@by_gguf
@given(exponent=st.floats(-46, 37), seed=st.integers(0, 2**32 - 1))
def test_quantise_ordinary_weights(quantized, exponent, seed):
    values = np.random.default_rng(seed).standard_normal((5, 96)) * 10.0**exponent
    values = values.astype(np.float32)
    found = quantize(values, quantized)
    np.testing.assert_array_equal(found, as_gguf_has_it(values, quantized))


@formats
@given(data=st.data(), n=st.integers(1, 40))
def test_dequantise_any_bytes(quantized, data, n):
    n = 1 + n % 4 if quantized.block > 32 else n
    size = n * quantized.block_bytes
    raw = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), np.uint8)
    raw = raw.reshape(1, -1)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(raw, GGUF_TYPES[quantized.name])
    found = decoded(raw, (1, quantized.block * n), quantized)
    number = ~np.isnan(expected)  # which NaN, the compiler of NumPy decides
    np.testing.assert_array_equal(np.isnan(found), ~number)
    np.testing.assert_array_equal(found[number].view(np.uint32), expected[number].view(np.uint32))


@pytest.mark.parametrize("name", ["q4_0", "q8_0"])
def test_nibbles_and_signs(name):
    """The layout in words: low nibbles are the first 16 values; -8 and -127 are in the range."""
    values = np.arange(-8, 24, dtype=np.float32) % 16 - 8  # -8 occurs, nothing is larger
    data = quantize(values, format_of(name))
    if name == "q4_0":
        nibbles = data[2:]
        q = np.concatenate([nibbles & 15, nibbles >> 4])
        np.testing.assert_array_equal(q, values + 8)
    else:
        np.testing.assert_array_equal(data[2:].view(np.int8), np.rint(values * 127 / 8))
    assert data[:2].view(np.float16)[0] == np.float16(8 / (8 if name == "q4_0" else 127))


def rms_of(values, quantized):
    """Of the errors of every block."""
    found = decoded(quantize(values, quantized), values.shape, quantized).astype(np.float64)
    return np.sqrt(((found - values) ** 2).reshape(-1, quantized.block).mean(axis=1))


def bound_of(values, quantized):
    """Of the root mean square of a block's errors, as the encoders promise it."""
    rows = values.reshape(-1, quantized.block).astype(np.float64)
    if quantized.name == "iq4_nl":
        # Half the widest gap of the table, or what lies beyond its upper end; scales of float16.
        return np.abs(rows).max(axis=1) * 14.5 / 127 * (1 + 2**-9) + 127 * 2.0**-24
    return getattr(superblocks, quantized.name[:2].upper()).error_bound(rows)


@searched
@given(
    exponent=st.floats(-9, 2), shift=st.floats(-4, 4), heavy=st.booleans(), seed=st.integers(0, 999)
)
def test_errors_of_searched_scales(quantized, exponent, shift, heavy, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((3, 512)) ** (3 if heavy else 1) + shift
    values = (values * 10.0**exponent).astype(np.float32)
    values[rng.random(values.shape) < rng.choice([0, 0.1, 0.9])] = 0
    assert np.all(rms_of(values, quantized) <= bound_of(values, quantized))


#: Root mean square errors of normally distributed values, relative to theirs: what ggml reaches
#: by its own searches, and what plain rounding does not.
RELATIVE = {
    "iq4_nl": 0.080, "q2_k": 0.29, "q3_k": 0.157, "q4_k": 0.0735, "q5_k": 0.0368, "q6_k": 0.0182,
}  # fmt: skip


@searched
def test_the_search_finds(quantized):
    values = np.random.default_rng(3).standard_normal((64, 1024)).astype(np.float32)
    assert np.sqrt(np.mean(rms_of(values, quantized) ** 2)) < RELATIVE[quantized.name]


@pytest.mark.checkout
@formats
def test_the_page_has_the_errors(quantized):
    values = np.random.default_rng(3).standard_normal((64, 1024)).astype(np.float32)
    found = decoded(quantize(values, quantized), values.shape, quantized)
    off = found.astype(np.float64) - values
    relative = 100 * np.sqrt(np.mean(off**2) / np.mean(values.astype(np.float64) ** 2))
    bits = 8 * quantized.block_bytes / quantized.block
    row = f"| {quantized.gguf_name} | {quantized.block} | {bits:g} | {relative:.2f} "
    assert f"{row}| {np.abs(off).max():.3f} |\n" in PAGE.read_text(encoding="utf-8")


@searched
def test_searched_scales_of_odd_values(quantized):
    """Zeros become zeros; equal values and single ones are met; NaN and infinities do no harm."""
    values = np.zeros((6, 256), np.float32)
    values[1], values[2], values[3, 100] = 3.25, -0.875, -5.0
    found = decoded(quantize(values, quantized), values.shape, quantized)
    assert np.all(found[0] == 0)
    np.testing.assert_allclose(found[1:4], values[1:4], rtol=0.05, atol=0.05)  # IQ4_NL has no 0
    values[4, 7], values[5, 200] = np.nan, np.inf
    values[5, 3] = -3e38
    again = decoded(quantize(values, quantized), values.shape, quantized)
    np.testing.assert_array_equal(again[:4], found[:4])  # others' blocks are their own


@searched
def test_a_block_is_encoded_alone(quantized):
    """Whatever lies beside it, and however many are encoded at a time."""
    values = np.random.default_rng(4).standard_normal((1200, 256)).astype(np.float32)
    together = quantize(values, quantized)
    for row in (0, 511, 512, 1199):
        np.testing.assert_array_equal(quantize(values[row], quantized), together[row])


@formats
def test_strides_and_leading_shapes(quantized):
    values = np.random.default_rng(0).standard_normal((4, 3, 2, 512)).astype(np.float32)
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
@pytest.mark.parametrize("shape", [(0,), (0, 256), (3, 0), (2, 0, 512)], ids=str)
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


def test_rows_of_a_matrix():
    values = np.random.default_rng(0).standard_normal((5, 256)).astype(np.float32)
    for quantized in FORMATS:
        weights = QuantizedWeights(quantize(values, quantized), (5, 256), quantized)
        whole = decoded(weights.data, (5, 256), quantized)
        for ids in (np.array([[4, 0], [2, 2]]), np.array(3), np.empty(0, np.int64)):
            np.testing.assert_array_equal(weights.rows(ids), whole[ids])
        with pytest.raises(IndexError):
            weights.rows(np.array([5]))


def test_names():
    names = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", *(f"q{n}_k" for n in range(2, 7))]
    assert [f.name for f in FORMATS] == names
    assert [f.gguf_name for f in FORMATS[5:7]] == ["IQ4_NL", "Q2_K"]
    for f in FORMATS:
        assert format_of(f.name) is format_of(f.gguf_name) is f
    assert [format_of(n).name for n in ("q40", "Q40", "q80")] == ["q4_0", "q4_0", "q8_0"]
    with pytest.raises(ValueError, match="quant_type is 'q4_2'; there are 'q4_0', 'q4_1'"):
        format_of("q4_2")
    with pytest.raises(ValueError, match="quant_type is 40"):
        format_of(40)
