"""Keys and values of the positions so far: where they lie, and which are attended to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airllm.checkpoint.architecture import Architecture, Rope
from airllm.model.cache import BUCKET, CACHE_DTYPES, Cache
from airllm.tensor_ops.attention import CAUSAL

A = Architecture(
    family="mistral", layers=2, hidden=12, intermediate=8, heads=6, kv_heads=3, head_dim=4,
    vocabulary=9, context=500, norm_eps=1e-6, activation="silu", rope=Rope(4, 1e4), window=None,
    tied=False, qkv_bias=False, output_bias=False, feed_forward_bias=False, norm_offset=0.0,
    embedding_scale=1.0, dtype=None, end_tokens=(),
)  # fmt: skip


def put(cache, rows, seed):
    """Random keys and values of the next positions in every layer, (rows, n_kv_heads * d) each."""
    made = np.random.default_rng(seed).standard_normal((2, A.layers, rows, A.kv_size))
    made = made.astype(cache.keys.dtype)
    for layer, (keys, values) in enumerate(zip(*made, strict=True)):
        by_head = keys.reshape(rows, A.kv_heads, A.head_dim).transpose(1, 2, 0)
        for kept in cache.key_places(layer, rows):
            kept.place[...] = by_head[..., kept.rows]
        held = values.reshape(rows, A.kv_heads, A.head_dim).transpose(1, 0, 2)
        cache.values[layer, :, cache.length : cache.length + rows] = held
    cache.length += rows
    return made


@pytest.mark.parametrize("dtype", CACHE_DTYPES)
def test_what_was_put_is_there(dtype):
    """In pieces that lie across the borders of buckets."""
    cache = Cache(A, 150, dtype)
    assert cache.capacity == 3 * BUCKET
    pieces = [put(cache, rows, rows) for rows in (1, 62, 2, 100, 3)]
    for layer in range(A.layers):
        keys, values = cache.first(layer, 168)
        np.testing.assert_array_equal(keys, np.concatenate([p[0, layer] for p in pieces]))
        np.testing.assert_array_equal(values, np.concatenate([p[1, layer] for p in pieces]))
        assert keys.dtype == values.dtype == np.float32


def test_a_position_looks_at_whole_buckets():
    cache = Cache(A, 2 * BUCKET)
    for length, attended in ((0, BUCKET), (BUCKET - 1, BUCKET), (BUCKET, 2 * BUCKET)):
        cache.length = length
        assert cache.attended() == attended
    cache.length = cache.capacity
    assert cache.attended() == cache.capacity


@pytest.mark.parametrize("window", [None, 1, 5, 1000])
def test_what_is_masked(window):
    cache = Cache(replace(A, window=window), BUCKET)
    for position in (0, 3, 5, 17):
        seen = np.arange(cache.capacity)
        wanted = (seen <= position) & (seen > position - (window or 1000))
        np.testing.assert_array_equal(cache.keep(position, cache.capacity), wanted)
        cache.length = position
        mask = cache.mask(2)
        if window in (None, 1000):
            assert mask is CAUSAL
        elif position + 2 > window:
            np.testing.assert_array_equal(mask[0], wanted[: position + 2])


def test_forgetting():
    cache = Cache(A, BUCKET)
    put(cache, 5, 0)
    cache.truncate(2)
    assert cache.length == 2
    for length in (3, -1):
        with pytest.raises(ValueError, match=f"holds 2 positions; {length} are none of them"):
            cache.truncate(length)


def test_a_type_that_is_none():
    with pytest.raises(ValueError, match="float32 or float16, not 'int8'"):
        Cache(A, 1, "int8")


def test_rotations_are_those_of_the_positions():
    cache = Cache(A, BUCKET)
    angles = np.arange(BUCKET)[:, None] * 1e4 ** (-np.array([0, 2]) / 4)
    np.testing.assert_allclose(cache.cos, np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(cache.sin, np.sin(angles), atol=1e-6)
