"""The formats against the package `gguf`, bit for bit, in both directions where it has both."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import gguf
import gguf.quants
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.quantized import FORMATS, QuantizedWeights, format_of, quantize
from tests.quantized.accuracy import SEARCHED, decoded, rms_of

PAGE = Path(__file__).resolve().parents[2] / "docs/quantized.md"
GGUF_TYPES = {f.name: gguf.GGMLQuantizationType[f.gguf_name] for f in FORMATS}
formats = pytest.mark.parametrize("quantized", FORMATS, ids=lambda f: f.name)
searched = pytest.mark.parametrize("quantized", SEARCHED, ids=lambda f: f.name)


@formats
def test_sizes(quantized):
    assert gguf.GGML_QUANT_SIZES[GGUF_TYPES[quantized.name]] == (
        quantized.block,
        quantized.block_bytes,
    )


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
    with pytest.raises(ValueError, match=r"'q4_2' is no format of blocks\. There are: q4_0, q4_1"):
        format_of("q4_2")
    with pytest.raises(ValueError, match="40 is no format of blocks"):
        format_of(40)
