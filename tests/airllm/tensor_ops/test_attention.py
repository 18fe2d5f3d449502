"""Attention on every backend against the formula in float64, and its masks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from airllm import tensor_ops
from airllm.tensor_ops import attention
from tests.airllm.tensor_ops.reference import attention_reference
from tests.airllm.tensor_ops.storage import STORAGE, assert_close, floats, wide

pytestmark = pytest.mark.usefixtures("on_backend")

Q, K, V = floats((4, 8)), floats((6, 8)), floats((6, 8)) + 1


MASKS = {
    "none": lambda h, s, kv: None,
    "causal": lambda h, s, kv: "causal",
    "float": lambda h, s, kv: floats((s, kv), seed=9),
    "float per head": lambda h, s, kv: floats((h, s, kv), seed=9),
    "bool": lambda h, s, kv: floats((s, kv), seed=9) > 0,
    "bool per head": lambda h, s, kv: floats((h, s, kv), seed=9) > 0,
}
SIZES = [(1, 1, 1, 1, 2), (4, 4, 5, 5, 8), (8, 2, 3, 17, 4), (6, 3, 7, 2, 4), (4, 1, 1, 33, 16),
         (2, 2, 0, 4, 4), (2, 1, 3, 0, 4)]  # fmt: skip


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("heads", "kv_heads", "seq", "kv_seq", "d"), SIZES)
def test_attention(heads, kv_heads, seq, kv_seq, d, mask, storage):
    q = floats((seq, heads * d), storage)
    k, v = (floats((kv_seq, kv_heads * d), storage, i) for i in (1, 2))
    mask = MASKS[mask](heads, seq, kv_seq)
    found = tensor_ops.multi_head_attention(q, k, v, heads, kv_heads, mask)
    assert found.dtype == q.dtype
    expected = attention_reference(wide(q), wide(k), wide(v), heads, kv_heads, mask)
    assert_close(found, expected, units=64, scale=np.abs(expected) + 1)


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
    mask = floats((4, 6), "float16")
    np.testing.assert_array_equal(attend(mask), attend(mask.astype(np.float32)))


def test_heads_that_share_keys_are_neighbours():
    """Heads 0 and 1 read the first keys, heads 2 and 3 the second."""
    q = floats((3, 16))
    found = tensor_ops.multi_head_attention(q, K, V, 4, 2)
    for head in range(4):
        own = np.s_[:, 4 * head : 4 * head + 4]
        shared = np.s_[:, 4 * (head // 2) : 4 * (head // 2) + 4]
        alone = tensor_ops.multi_head_attention(q[own], K[shared], V[shared], 1, 1)
        np.testing.assert_allclose(found[own], alone, rtol=1e-5, atol=1e-6)


def test_attention_in_blocks_is_attention_at_once(monkeypatch):
    q, k, v = floats((11, 16)), floats((9, 8)), floats((9, 8), seed=3)
    for mask in [make(4, 11, 9) for make in MASKS.values()]:
        monkeypatch.setattr(attention, "_SCORES", 1 << 22)
        at_once = tensor_ops.multi_head_attention(q, k, v, 4, 2, mask)
        monkeypatch.setattr(attention, "_SCORES", 4 * 9 * 3)
        in_blocks = tensor_ops.multi_head_attention(q, k, v, 4, 2, mask)
        np.testing.assert_allclose(in_blocks, at_once, rtol=1e-5, atol=1e-6)


def test_attention_needs_memory_for_a_block_only(monkeypatch):
    monkeypatch.setattr(attention, "_SCORES", 1 << 18)
    monkeypatch.setattr("gint.host.memory.POOLED_BYTES", 1 << 40)
    q = floats((2048, 64))
    tracemalloc.start()
    tensor_ops.multi_head_attention(q, q, q, 8, 8, "causal")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    scores = 8 * 2048 * 2048 * 4
    assert peak < scores / 8


def test_numbers_of_heads_are_pythons_whatever_they_came_as():
    x = floats((2, 64 * 64))
    found = tensor_ops.multi_head_attention(x, x, x, np.int8(64), np.int8(64))
    np.testing.assert_array_equal(found, tensor_ops.multi_head_attention(x, x, x, 64, 64))
