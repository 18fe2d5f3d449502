"""Blocks of 32: encoded as the package gguf does, bit for bit; IQ4_NL by the nearest of a table."""

from __future__ import annotations

import warnings

import gguf
import gguf.quants
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gint.quantized import format_of, quantize
from gint.quantized.blocks import IQ4_NL
from tests.quantized.accuracy import BY_GGUF, decoded, rms_of, weights_like

by_gguf = pytest.mark.parametrize("quantized", BY_GGUF, ids=lambda f: f.name)

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
        return gguf.quants.quantize(values, gguf.GGMLQuantizationType[quantized.gguf_name])


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


@given(
    exponent=st.floats(-9, 2), shift=st.floats(-4, 4), heavy=st.booleans(), seed=st.integers(0, 999)
)
def test_iq4_nl_takes_the_nearest_of_its_table(exponent, shift, heavy, seed):
    """Of the values that the scale of a block gives, and no scale is worse than the plain one."""
    iq4_nl, values = format_of("iq4_nl"), weights_like(exponent, shift, heavy, seed)
    data = quantize(values, iq4_nl)
    found = decoded(data, values.shape, iq4_nl).reshape(-1, 32)
    rows = values.reshape(-1, 32)
    scale = data.reshape(-1, iq4_nl.block_bytes)[:, :2].copy().view(np.float16).astype(np.float64)
    off = np.abs(scale[:, :, None] * IQ4_NL - rows[:, :, None])
    # By way of the nearest integer: where two are about as near, either.
    slack = np.abs(scale) * 0.5 * (1 + 1e-5)
    assert np.all(np.abs(found - rows) <= off.min(axis=2) + 2 * slack)
    # Half the widest gap of the table, or what lies beyond its upper end; scales of float16.
    bound = np.abs(rows.astype(np.float64)).max(axis=1) * 14.5 / 127 * (1 + 2**-9) + 127 * 2.0**-24
    assert np.all(rms_of(values, iq4_nl) <= bound)


@pytest.mark.parametrize("quantized", BY_GGUF, ids=lambda f: f.name)
def test_a_block_of_zeros_and_one_of_a_single_value(quantized):
    values = np.zeros((2, 32), np.float32)
    values[1, 17] = -3.0
    found = decoded(quantize(values, quantized), values.shape, quantized)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], values[1], atol=3 * 2**-10)
