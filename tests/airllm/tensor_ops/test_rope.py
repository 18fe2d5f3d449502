"""The rotation on every backend; its frequencies: plain, and stretched as Llama 3.1 has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm import tensor_ops
from airllm.tensor_ops.rope import frequencies_of
from tests.airllm.tensor_ops.reference import rope_reference
from tests.airllm.tensor_ops.storage import STORAGE, assert_close, floats, wide

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


@pytest.mark.usefixtures("on_backend")
@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("lead", [(5,), (2, 3), (0,), (1,)], ids=str)
def test_rope(lead, storage, interleaved):
    q, k = floats((*lead, 4 * 6), storage), floats((*lead, 2 * 6), storage, 1)
    found = tensor_ops.apply_rope(q, k, 1000, 6, interleaved=interleaved)
    for x, y in zip((q, k), found, strict=True):
        assert y.dtype == x.dtype
        positions = np.arange(1000, 1000 + lead[-1])
        assert_close(y, rope_reference(wide(x), positions, 6, interleaved), scale=8)


@pytest.mark.usefixtures("on_backend")
def test_rope_at_positions_of_ones_own_and_in_place():
    q, k = floats((3, 8)), floats((3, 4))
    positions = np.array([5, 0, 131071], np.int32)
    expected = tensor_ops.apply_rope(q, k, positions, 4, rope_theta=500000.0)
    for x, y in zip((q, k), expected, strict=True):
        assert_close(y, rope_reference(wide(x), positions, 4, True, 500000.0), scale=8)
    found = tensor_ops.apply_rope(q, k, positions, 4, rope_theta=500000.0, out=(q, k))
    assert found[0] is q
    assert found[1] is k
    np.testing.assert_array_equal(q, expected[0])


@pytest.mark.usefixtures("on_backend")
def test_rope_of_strided_rows():
    q = floats((6, 16))[::-2, ::2]
    found, _ = tensor_ops.apply_rope(q, q, 7, 4, interleaved=False)
    expected, _ = tensor_ops.apply_rope(q.copy(), q.copy(), 7, 4, interleaved=False)
    np.testing.assert_array_equal(found, expected)


def test_the_size_of_a_head_is_pythons_whatever_it_came_as():
    x = floats((2, 64 * 64))
    q = tensor_ops.apply_rope(x, x, 1, np.uint8(128))[0]
    np.testing.assert_array_equal(q, tensor_ops.apply_rope(x, x, 1, 128)[0])
