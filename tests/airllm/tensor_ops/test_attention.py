"""Masks of attention, beside the formula (test_operations.py)."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops


@pytest.fixture(autouse=True)
def on_backend(backend):
    with tensor_ops.use_backend(backend):
        yield


def floats(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


Q, K, V = floats(4, 8), floats(6, 8), floats(6, 8) + 1


def attend(mask, q=Q):
    return tensor_ops.multi_head_attention(q, K, V, 2, 2, mask)


def test_a_query_that_sees_no_key_is_zero():
    keep = np.ones((4, 6), bool)
    keep[1] = False
    found = attend(keep)
    np.testing.assert_array_equal(found[1], 0)
    np.testing.assert_array_equal(found[[0, 2, 3]], attend(None)[[0, 2, 3]])
    np.testing.assert_array_equal(attend(np.where(keep, 0, -np.inf).astype("f4")), found)


def test_causal_is_the_lower_right_triangle():
    """The last query sees all keys, however many there were before it."""
    keep = np.arange(6) <= np.arange(4)[:, None] + 2
    np.testing.assert_allclose(attend("causal"), attend(keep), rtol=1e-6)


def test_a_query_before_the_first_key_is_zero():
    found = tensor_ops.multi_head_attention(Q, K[:2], V[:2], 2, 2, "causal")
    np.testing.assert_array_equal(found[:2], 0)
    assert found[2:].any(1).all()


def test_masks_of_other_types_are_added_too():
    mask = floats(4, 6).astype(np.float16)
    np.testing.assert_array_equal(attend(mask), attend(mask.astype(np.float32)))


def test_heads_that_share_keys_are_neighbours():
    """Heads 0 and 1 read the first keys, heads 2 and 3 the second."""
    q = floats(3, 16)
    found = tensor_ops.multi_head_attention(q, K, V, 4, 2)
    for head in range(4):
        own = np.s_[:, 4 * head : 4 * head + 4]
        shared = np.s_[:, 4 * (head // 2) : 4 * (head // 2) + 4]
        alone = tensor_ops.multi_head_attention(q[own], K[shared], V[shared], 1, 1)
        np.testing.assert_allclose(found[own], alone, rtol=1e-5, atol=1e-6)
