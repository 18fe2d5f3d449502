"""Frequencies of the rotation: plain, and stretched as Llama 3.1 has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm import tensor_ops
from airllm.tensor_ops.rope import frequencies_of

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def stretched(frequency: float, factor: float, low: float, high: float, trained: float) -> float:
    """One frequency, by how often its wave fits the length that was trained: more than `high`
    times it stays, less than `low` times it is `factor` times slower, between it is between."""
    waves = trained / (2 * math.pi / frequency)
    if waves > high:
        return frequency
    if waves < low:
        return frequency / factor
    smooth = (waves - low) / (high - low)
    return (1 - smooth) * frequency / factor + smooth * frequency


@given(
    st.integers(1, 64),
    st.sampled_from((1.0, 100.0, 1e4, 5e5)),
    st.floats(0.5, 64),
    st.floats(0, 4),
    st.floats(0.01, 4),
    st.integers(1, 1 << 17),
)
def test_scaled_frequencies(half, theta, factor, low, above, trained):
    names = list(LLAMA3)[1:]
    numbers = (factor, low, low + above, trained)
    found = frequencies_of(half, theta, LLAMA3 | dict(zip(names, numbers, strict=True)))
    plain = [theta ** (-2 * i / (2 * half)) for i in range(half)]
    np.testing.assert_allclose(frequencies_of(half, theta, None), plain, rtol=1e-14)
    expected = [stretched(f, *numbers) for f in plain]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_llama_has_frequencies_of_all_three_kinds():
    plain, found = frequencies_of(64, 5e5, None), frequencies_of(64, 5e5, LLAMA3)
    assert found[0] == plain[0]
    assert found[-1] == plain[-1] / 8
    between = (found != plain) & (found != plain / 8)
    assert between.any()
    assert np.all(np.diff(found) < 0)


def test_pairs_turn_by_the_scaled_frequencies():
    """Far along the text, as its frequency says."""
    q = np.zeros((1, 128), np.float32)
    q[:, ::2] = 1
    position = 100_000
    turned, _ = tensor_ops.apply_rope(q, q, position, 128, rope_theta=5e5, scaling=LLAMA3)
    angles = position * np.array([stretched(5e5 ** (-i / 64), 8, 1, 4, 8192) for i in range(64)])
    np.testing.assert_allclose(turned[0, ::2], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(turned[0, 1::2], np.sin(angles), atol=1e-6)


def test_older_configurations_say_type():
    older = {name: value for name, value in LLAMA3.items() if name != "rope_type"}
    found = frequencies_of(8, 1e4, older | {"type": "llama3"})
    np.testing.assert_array_equal(found, frequencies_of(8, 1e4, LLAMA3))


@pytest.mark.parametrize("pos", [np.array([3, 4]), np.int64(3), 3])
def test_positions_may_be_any_integers(pos):
    q = np.ones((2, 4), np.float32)
    expected = tensor_ops.apply_rope(q, q, 3, 4)
    np.testing.assert_array_equal(tensor_ops.apply_rope(q, q, pos, 4), expected)
