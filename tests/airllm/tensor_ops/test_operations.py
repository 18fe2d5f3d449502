"""Every operation on every backend, against the formula in float64.

The tolerance is relative to the size of what is added up: float32 has 2**-24. Storage types add
half a unit of their own, for the rounding of the result.
"""

from __future__ import annotations

import math
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm import tensor_ops
from tests.airllm.tensor_ops.reference import (
    attention_reference,
    erf,
    rope_reference,
    softmax_reference,
)

STORAGE = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
SHAPES = [(1,), (7,), (3, 1), (1, 64), (5, 31), (2, 3, 128), (0, 4), (4, 0), (2, 0, 3), (3, 4099)]


@pytest.fixture(autouse=True)
def on_backend(backend):
    with tensor_ops.use_backend(backend):
        yield


def floats(shape, storage="float32", seed=0):
    rng = np.random.default_rng([seed, *shape])
    dtype = ml_dtypes.bfloat16 if storage == "bfloat16" else np.dtype(storage)
    return np.asarray(2 * rng.standard_normal(shape)).astype(dtype)


def wide(a):
    return a.astype(np.float64)


def assert_close(found, expected, scale=None, units=8):
    """Within `units` units of float32 of the scale, and half a unit of the result's own type."""
    assert found.shape == expected.shape
    expected = np.asarray(expected, np.float64)
    scale = np.maximum(1.0, np.abs(expected)) if scale is None else scale
    bound = units * STORAGE["float32"] * scale
    bound = bound + STORAGE[found.dtype.name] * np.abs(expected) * 1.01 + 1e-7
    error = np.abs(wide(found) - expected)
    assert np.all((error <= bound) | (np.isnan(expected) & np.isnan(wide(found)))), error.max()


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rms_norm(shape, storage):
    x, weight = floats(shape, storage), floats(shape[-1:], storage, 1)
    found = tensor_ops.rms_norm(x, weight, eps=1e-5)
    assert found.dtype == x.dtype
    wanted = wide(x) / np.sqrt(np.mean(wide(x) ** 2, -1, keepdims=True) + 1e-5) if x.size else x
    assert_close(found, wanted * wide(weight))


@pytest.mark.parametrize("given_", [(), ("weight",), ("bias",), ("weight", "bias")], ids=str)
@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layer_norm(shape, storage, given_):
    x = floats(shape, storage)
    rows = {name: floats(shape[-1:], storage, i) for i, name in enumerate(given_)}
    found = tensor_ops.layer_norm(x, **rows)
    if not x.size:
        assert found.shape == shape
        return
    wanted = wide(x) - wide(x).mean(-1, keepdims=True)
    wanted = wanted / np.sqrt(np.mean(wanted**2, -1, keepdims=True) + 1e-5)
    wanted = wanted * wide(rows.get("weight", np.ones(1))) + wide(rows.get("bias", np.zeros(1)))
    # Two values that nearly agree: their difference has the error of the values.
    assert_close(found, wanted, scale=np.maximum(8, np.abs(wanted)) * (1 + np.abs(wide(x)).max()))


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax(shape, storage, axis):
    x = floats(shape, storage)
    found = tensor_ops.softmax(x, axis)
    assert found.dtype == x.dtype
    assert_close(found, softmax_reference(wide(x), axis))


def test_softmax_of_a_middle_axis():
    x = floats((3, 5, 7))
    assert_close(tensor_ops.softmax(x, 1), softmax_reference(wide(x), 1))


ACTIVATIONS = {
    "silu": (tensor_ops.silu, lambda x: x / (1 + np.exp(-x))),
    "gelu tanh": (
        tensor_ops.gelu,
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "gelu none": (
        lambda x, **out: tensor_ops.gelu(x, "none", **out),
        lambda x: x / 2 * (1 + erf(x / math.sqrt(2))),
    ),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("shape", [(), *SHAPES], ids=str)
def test_activations(shape, storage, name):
    function, reference = ACTIVATIONS[name]
    x = floats(shape, storage)
    found = function(x)
    assert found.dtype == x.dtype
    assert_close(found, reference(wide(x)))


@pytest.mark.parametrize("name", ["silu", "gelu", "softmax", "rms_norm", "layer_norm"])
def test_nan_and_infinities_go_where_numpy_sends_them(name):
    x = floats((6, 5))
    x[0, 1], x[1, 2], x[2, 3] = np.nan, np.inf, -np.inf
    x[3] = -np.inf
    x[4, 0], x[5, 0] = 3e38, 1e-42
    ones = np.ones(5, np.float32)
    with np.errstate(all="ignore"):
        expected = {
            "silu": lambda: x / (1 + np.exp(-x)),
            "gelu": lambda: ACTIVATIONS["gelu tanh"][1](x),
            "softmax": lambda: softmax_reference(x, -1),
            "rms_norm": lambda: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-6),
            "layer_norm": lambda: (
                (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
            ),
        }[name]()
    function = getattr(tensor_ops, name)
    found = function(x, ones) if name == "rms_norm" else function(x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(sorted(STORAGE)),
)
def test_any_strides(lengths, random, storage):
    """Slices, reversed and swapped axes, broadcasts: as of a contiguous copy."""
    x = floats(tuple(3 * n for n in lengths), storage)
    for axis in range(x.ndim):
        step = random.choice([1, 2, 3, -1, -2])
        x = x[(slice(None),) * axis + (slice(None, None, step),)]
    x = x.transpose(random.sample(range(x.ndim), x.ndim))
    if random.random() < 0.3:
        x = np.broadcast_to(x, (2, *x.shape))
    weight = floats((2 * x.shape[-1],), storage)[::2]
    for function in (
        lambda x: tensor_ops.rms_norm(x, weight.astype(x.dtype, copy=False)),
        lambda x: tensor_ops.softmax(x, 0),
        tensor_ops.silu,
    ):
        # The copy's result is not rounded to the storage type: two that are may be a unit apart, as
        # the order of a sum follows the layout.
        found, expected = function(x), function(np.ascontiguousarray(x).astype(np.float32))
        assert_close(found, wide(expected), scale=np.abs(wide(expected)), units=4)


@pytest.mark.parametrize("storage", STORAGE)
def test_results_go_where_out_says(storage):
    x, weight = floats((4, 6), storage), floats((6,), storage, 1)
    for function in (
        lambda **out: tensor_ops.rms_norm(x, weight, **out),
        lambda **out: tensor_ops.layer_norm(x, weight, weight, **out),
        lambda **out: tensor_ops.softmax(x, **out),
        lambda **out: tensor_ops.softmax(x, 0, **out),
        lambda **out: tensor_ops.silu(x, **out),
        lambda **out: tensor_ops.gelu(x, **out),
        lambda **out: tensor_ops.matmul_f32(x, floats((6, 6), storage), **out),
        lambda **out: tensor_ops.multi_head_attention(x, x, x, 2, 2, **out),
        lambda **out: tensor_ops.feed_forward(x, *[floats((6, 6), storage)] * 3, **out),
    ):
        expected = function()
        big = np.zeros((8, 12), x.dtype)
        out = big[::-2, ::2]
        assert function(out=out) is out
        np.testing.assert_array_equal(out, expected)
        assert not big[::2].any()
        assert not big[:, 1::2].any()


def test_in_place():
    x = floats((4, 6))
    for function in (tensor_ops.softmax, tensor_ops.silu, tensor_ops.gelu, tensor_ops.layer_norm):
        expected, same = function(x), x.copy()
        assert function(same, out=same) is same
        np.testing.assert_array_equal(same, expected)


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 5), (0,)], ids=str)
@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 13), (64, 0), (0, 3)])
def test_matmul(lead, k, n, storage):
    x, weight = floats((*lead, k), storage), floats((k, n), storage, 1)
    found = tensor_ops.matmul_f32(x, weight)
    assert found.dtype == x.dtype
    assert_close(found, wide(x) @ wide(weight), scale=np.abs(wide(x)) @ np.abs(wide(weight)) + 1)


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu"])
@pytest.mark.parametrize("storage", STORAGE)
def test_feed_forward(activation, storage):
    x, w1, w3 = floats((2, 3, 8), storage), floats((8, 12), storage), floats((8, 12), storage, 1)
    w2 = floats((12, 5), storage)
    act = {
        "silu": ACTIVATIONS["silu"][1],
        "gelu": ACTIVATIONS["gelu tanh"][1],
        "relu": lambda x: np.maximum(x, 0),
    }[activation]
    gate, up = act(wide(x) @ wide(w1)), wide(x) @ wide(w3)
    found = tensor_ops.feed_forward(x, w1, w2, w3, activation)
    scale = np.abs(gate * up) @ np.abs(wide(w2)) * 8
    assert_close(found, (gate * up) @ wide(w2), scale=scale + 8)


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


def test_rope_of_strided_rows():
    q = floats((6, 16))[::-2, ::2]
    found, _ = tensor_ops.apply_rope(q, q, 7, 4, interleaved=False)
    expected, _ = tensor_ops.apply_rope(q.copy(), q.copy(), 7, 4, interleaved=False)
    np.testing.assert_array_equal(found, expected)


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


def test_attention_in_blocks_is_attention_at_once(monkeypatch):
    from airllm.tensor_ops import attention

    q, k, v = floats((11, 16)), floats((9, 8)), floats((9, 8), seed=3)
    for mask in [make(4, 11, 9) for make in MASKS.values()]:
        monkeypatch.setattr(attention, "_SCORES", 1 << 22)
        at_once = tensor_ops.multi_head_attention(q, k, v, 4, 2, mask)
        monkeypatch.setattr(attention, "_SCORES", 4 * 9 * 3)
        in_blocks = tensor_ops.multi_head_attention(q, k, v, 4, 2, mask)
        np.testing.assert_allclose(in_blocks, at_once, rtol=1e-5, atol=1e-6)


def test_attention_needs_memory_for_a_block_only(monkeypatch):
    from airllm.tensor_ops import attention

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
    q = tensor_ops.apply_rope(x, x, 1, np.uint8(128))[0]
    np.testing.assert_array_equal(q, tensor_ops.apply_rope(x, x, 1, 128)[0])
