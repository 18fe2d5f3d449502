"""What holds for every operation: NaN, strides, `out`, in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm import tensor_ops
from tests.airllm.tensor_ops.reference import gelu_reference, silu_reference, softmax_reference
from tests.airllm.tensor_ops.storage import STORAGE, assert_close, floats, wide

pytestmark = pytest.mark.usefixtures("on_backend")


@pytest.mark.parametrize("name", ["silu", "gelu", "softmax", "rms_norm", "layer_norm"])
def test_nan_and_infinities_go_where_numpy_sends_them(name):
    x = floats((6, 5))
    x[0, 1], x[1, 2], x[2, 3] = np.nan, np.inf, -np.inf
    x[3] = -np.inf
    x[4, 0], x[5, 0] = 3e38, 1e-42
    ones = np.ones(5, np.float32)
    with np.errstate(all="ignore"):
        expected = {
            "silu": lambda: silu_reference(x),
            "gelu": lambda: gelu_reference(x),
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
