"""The steps of a decoder's layer on every backend, one row and several, beside their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops
from airllm.tensor_ops import steps
from airllm.tensor_ops.arrays import take
from gint.quantized import QuantizedWeights, format_of, quantize
from tests.airllm.tensor_ops.reference import rope_reference, silu_reference, softmax_reference
from tests.airllm.tensor_ops.storage import STORAGE, assert_close, floats, wide

pytestmark = pytest.mark.usefixtures("on_backend")
rows_of_a_pass = pytest.mark.parametrize("rows", [1, 3])


def normed(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + eps) * weight


@rows_of_a_pass
@pytest.mark.parametrize("n", [1, 31, 256])
def test_norm_of_rows_and_of_the_heads_in_a_row(n, rows):
    x, weight, out = floats((rows, n)), floats((n,), seed=1), np.empty((rows, n), np.float32)
    steps.norm(x, weight, 1e-5, out)
    assert_close(out, normed(wide(x), wide(weight), 1e-5))
    qkv = floats((rows, 5 * n))
    heads, before = qkv.reshape(rows, 5, n)[:, 1:4], qkv.copy()
    steps.norm(heads, weight, 1e-5, heads)
    expected = before.reshape(rows, 5, n)
    assert_close(heads, normed(wide(expected[:, 1:4]), wide(weight), 1e-5))
    np.testing.assert_array_equal(qkv.reshape(rows, 5, n)[:, [0, 4]], expected[:, [0, 4]])


@rows_of_a_pass
def test_a_result_is_added_before_the_norm(rows):
    x, more, weight = floats((rows, 31)), floats((rows, 31), seed=1), floats((31,), seed=2)
    total, out = x + more, np.empty_like(x)
    steps.add_norm(x, more, weight, 1e-5, out)
    np.testing.assert_array_equal(x, total)
    assert_close(out, normed(wide(total), wide(weight), 1e-5))


@rows_of_a_pass
def test_add_broadcasts_a_bias(rows):
    x, bias = floats((rows, 7)), floats((7,), seed=1)
    expected = x + bias
    steps.add(x, bias)
    np.testing.assert_array_equal(x, expected)
    steps.add(x, expected)
    np.testing.assert_array_equal(x, expected + expected)


@rows_of_a_pass
def test_gate_reads_the_halves_of_one_matrix(rows):
    gate_up, out = floats((rows, 2 * 13)), np.empty((rows, 13), np.float32)
    steps.gate(gate_up[:, :13], gate_up[:, 13:], "silu", out)
    expected = silu_reference(wide(gate_up[:, :13])) * wide(gate_up[:, 13:])
    assert_close(out, expected, scale=8 * np.maximum(1, np.abs(expected)))


@rows_of_a_pass
@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_keep_rotates_and_copies(dtype, interleaved, rows):
    """Of 4 query heads and 2 of keys and values; the rows' keys belong to two places."""
    kv_heads, d, half, qkv = 2, 6, 2, floats((rows, 8 * 6))
    before = wide(qkv).reshape(rows, 8, d)
    angles = np.arange(5, 5 + rows)[:, None] * 100.0 ** (-np.arange(half) / half)
    cos, sin = (f(angles).astype(np.float32) for f in (np.cos, np.sin))
    keys = np.zeros((kv_heads, d, rows + 2), dtype)
    values = np.zeros((kv_heads, rows, d), dtype)
    first = max(1, rows - 1)
    places = [steps.Kept(slice(0, first), keys[:, :, 1 : 1 + first])]
    if rows > 1:
        places.append(steps.Kept(slice(first, rows), keys[:, :, 1 + first : 1 + rows]))
    steps.keep(qkv, cos, sin, interleaved, places, values)
    after = qkv.reshape(rows, 8, d)
    turned = rope_reference(
        before[..., : 2 * half].reshape(rows, -1), np.arange(5, 5 + rows), 2 * half, interleaved,
        100.0,
    ).reshape(rows, 8, 2 * half)  # fmt: skip
    assert_close(after[:, :6, : 2 * half], turned[:, :6], scale=8)
    np.testing.assert_array_equal(after[:, :6, 2 * half :], before[:, :6, 2 * half :])
    np.testing.assert_array_equal(after[:, 6:], before[:, 6:])  # values are not rotated
    held = keys[:, :, 1 : 1 + rows].transpose(2, 0, 1)
    np.testing.assert_array_equal(held, after[:, 4:6].astype(dtype))
    np.testing.assert_array_equal(values.transpose(1, 0, 2), after[:, 6:].astype(dtype))
    assert not keys[:, :, [0, rows + 1]].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("kv_heads", "queries", "d"), [(1, 1, 1), (2, 3, 8), (3, 1, 5)])
def test_attend_over_a_cache_in_blocks(kv_heads, queries, d, dtype):
    blocks, block = 3, 4
    kv_seq = blocks * block
    q = floats((kv_heads, queries, d))
    k = floats((kv_heads, blocks, d, block), seed=1).astype(dtype)
    v = floats((kv_heads, kv_seq, d), seed=2).astype(dtype)
    keep = np.arange(kv_seq) % 5 != 1
    scores, out = np.empty((kv_heads, queries, kv_seq), np.float32), np.empty_like(q)
    steps.attend(q, k, v, keep, scores, out)
    by_position = wide(k).transpose(0, 1, 3, 2).reshape(kv_heads, kv_seq, d)
    raw = wide(q) @ by_position.swapaxes(1, 2) / np.sqrt(d)
    share = softmax_reference(np.where(keep, raw, -np.inf), -1)
    expected = share @ wide(v)
    assert_close(out, expected, units=64, scale=np.abs(expected) + 1)


@rows_of_a_pass
@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (13, 7), (64, 256)])
def test_products_with_floats_as_they_are_stored(outputs, inputs, storage, rows):
    x, stored = floats((rows, inputs)), floats((outputs, inputs), storage, 1)
    part, matrix = take("part", stored), np.zeros((rows, outputs + 3), np.float32)
    steps.multiply(x, part, matrix[:, 1 : 1 + outputs])
    scale = np.abs(wide(x)) @ np.abs(wide(stored)).T + 1
    assert_close(matrix[:, 1 : 1 + outputs], wide(x) @ wide(stored).T, scale=scale)
    assert not matrix[:, [0, -2, -1]].any()
    np.testing.assert_array_equal(steps.float_rows(part), wide(stored))
    assert steps.part_bytes(part) == stored.nbytes


@rows_of_a_pass
@pytest.mark.parametrize("name", ["q4_0", "q8_0"])
def test_products_with_blocks_packed_and_not(name, rows):
    """Activations are rounded to 8 bits: off by half a 127th of the largest of a block."""
    shape, x, kind = (5, 64), floats((rows, 64)), format_of(name)
    values = floats(shape, seed=1)
    blocks = QuantizedWeights(quantize(values, kind), shape, kind)
    meant = tensor_ops.dequantize(blocks.data, shape, name)
    prepared = tensor_ops.prepare(blocks.data, shape, name)
    bound = np.abs(x).max() / 254 * np.abs(meant).sum(1) + 1e-4
    for part in (blocks, prepared):
        out = np.empty((rows, 5), np.float32)
        steps.multiply(x, part, out)
        assert (np.abs(out - x @ meant.T) <= bound).all()
        np.testing.assert_array_equal(steps.float_rows(part), meant)
        assert steps.part_bytes(part) >= blocks.data.nbytes


def test_what_is_recordable(on_backend):
    """All that a row does where its steps are native launches: not blocks to be packed first."""
    shape, native, kind = (5, 64), on_backend == "cpp", format_of("q8_0")
    blocks = QuantizedWeights(quantize(floats(shape), kind), shape, kind)
    prepared = tensor_ops.prepare_q80(blocks.data, shape)
    assert steps.is_native() == native
    assert steps.is_recordable(take("part", floats(shape))) == native
    assert steps.is_recordable(prepared) == native
    assert not steps.is_recordable(blocks)
