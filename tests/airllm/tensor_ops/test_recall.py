"""Calls that are recalled do what the long way does, whatever was called before them."""

from __future__ import annotations

import inspect
import pickle
import pydoc
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm import tensor_ops
from airllm.tensor_ops import activations, norms, quantized

pytestmark = pytest.mark.cpp


@pytest.fixture(autouse=True)
def on_cpp():
    with tensor_ops.use_backend("cpp"):
        yield


@contextmanager
def no_long_way(monkeypatch):
    """Only what is recalled works inside."""

    def stop(*_):
        raise AssertionError("This call was not recalled.")

    with monkeypatch.context() as patch:
        for module in (activations, norms, quantized):
            patch.setattr(module, "take", stop)
        yield


def floats(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def rms(x, weight, eps=1e-6):
    return x / np.sqrt(np.mean(x.astype(float) ** 2, -1, keepdims=True) + eps) * weight


CALLS = {
    "rms_norm": lambda x: tensor_ops.rms_norm(x, floats(x.shape[-1], seed=9)),
    "rms_norm by names": lambda x: tensor_ops.rms_norm(weight=floats(x.shape[-1]), eps=0.1, x=x),
    "layer_norm": lambda x: tensor_ops.layer_norm(x, None, floats(x.shape[-1])),
    "softmax": lambda x: tensor_ops.softmax(x, 0),
    "silu": tensor_ops.silu,
    "gelu": lambda x: tensor_ops.gelu(x, "none"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("layout", [lambda x: x, lambda x: x.T, lambda x: x[:, ::2]])
def test_the_second_call_is_recalled_and_computes_anew(call, layout, monkeypatch):
    x, other = layout(floats(64, 48)), layout(floats(64, 48, seed=1))
    expected = call(other.copy(order="K") if other.base is None else other)
    first = call(x)
    with no_long_way(monkeypatch):
        second = call(other)
        np.testing.assert_array_equal(call(x), first)
    np.testing.assert_array_equal(second, expected)
    assert not np.shares_memory(first, second)


def test_operations_look_like_functions():
    assert list(inspect.signature(tensor_ops.rms_norm).parameters) == ["x", "weight", "eps", "out"]
    assert repr(tensor_ops.rms_norm) == "<airllm.tensor_ops.norms.rms_norm>"
    assert inspect.isroutine(tensor_ops.rms_norm)
    assert pickle.loads(pickle.dumps(tensor_ops.rms_norm)) is tensor_ops.rms_norm
    assert "Zhang and Sennrich" in pydoc.render_doc(tensor_ops.rms_norm)
    assert tensor_ops.silu.__name__ == "silu"


def test_out_is_a_new_place_every_time_and_may_be_x(monkeypatch):
    weight = floats(48)
    for seed in range(3):
        x, out = floats(64, 48, seed=seed), np.zeros((64, 48), np.float32)
        expected = tensor_ops.rms_norm(x, weight)
        assert tensor_ops.rms_norm(x, weight, out=out) is out
        np.testing.assert_array_equal(out, expected)
        assert tensor_ops.rms_norm(x, weight, out=x) is x
        np.testing.assert_array_equal(x, expected)


def test_arguments_that_were_one_array_may_be_two():
    v, w = floats(48), floats(48, seed=1)
    np.testing.assert_allclose(tensor_ops.rms_norm(v, v), rms(v, v), rtol=1e-5)
    np.testing.assert_allclose(tensor_ops.rms_norm(v, w), rms(v, w), rtol=1e-5)
    np.testing.assert_allclose(tensor_ops.rms_norm(w, w), rms(w, w), rtol=1e-5)


def test_what_is_wrong_is_still_refused():
    x, weight, out = floats(8, 48), floats(48), np.empty((8, 48), np.float32)
    tensor_ops.rms_norm(x, weight, out=out)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        tensor_ops.rms_norm(x, weight, out=out)
    memory = floats(96)
    tensor_ops.silu(memory[:32], out=memory[64:])
    with pytest.raises(ValueError, match="overlap"):
        tensor_ops.silu(memory[:32], out=memory[31:63])
    with pytest.raises(TypeError, match="eps"):
        tensor_ops.rms_norm(x, weight, "1e-6")


def test_backends_numbers_and_kinds_of_arrays_are_told_apart():
    x, weight = floats(8, 48), floats(48)
    native = tensor_ops.rms_norm(x, weight, 0.5)
    with tensor_ops.use_backend("python"):
        np.testing.assert_allclose(tensor_ops.rms_norm(x, weight, 0.5), native, rtol=1e-5)
    np.testing.assert_allclose(tensor_ops.rms_norm(x, weight, 2), rms(x, weight, 2), rtol=1e-5)
    half = tensor_ops.rms_norm(x.astype(np.float16), weight, 0.5)
    assert half.dtype == np.float16
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(8, 48)
    np.testing.assert_array_equal(tensor_ops.rms_norm(unaligned, weight, 0.5), native)
    with pytest.raises(TypeError, match="masked"):
        tensor_ops.rms_norm(np.ma.masked_array(x), weight, 0.5)


def test_products_take_the_weights_of_each_call(monkeypatch):
    x, shape = floats(3, 64), (5, 64)
    w = [floats(*shape, seed=seed) for seed in range(2)]
    weights = [tensor_ops.prepare_q80(tensor_ops.quantize_q80(a), shape) for a in w]
    expected = [x @ tensor_ops.dequantize_q80(a, shape).T for a in weights]
    tensor_ops.matmul_quantized(x, weights[0], shape, "q80")
    with no_long_way(monkeypatch):
        for prepared, product in zip(weights, expected, strict=True):
            found = tensor_ops.matmul_quantized(x, prepared, shape, "q80")
            np.testing.assert_allclose(found, product, atol=0.1)


@pytest.mark.parametrize(
    "layout",
    [lambda x: x, lambda x: x[0, 0], lambda x: x[0], lambda x: x[:, ::2], lambda x: x[..., ::-1],
     lambda x: x.astype(np.float16)],
)  # fmt: skip
def test_products_of_any_layout(layout):
    shape = (5, 64)
    prepared = tensor_ops.prepare_q80(tensor_ops.quantize_q80(floats(*shape)), shape)
    weight = tensor_ops.dequantize_q80(prepared, shape)
    for seed in range(3):
        x = layout(floats(2, 4, 64, seed=seed))
        found = tensor_ops.matmul_quantized(x, prepared, shape, "q80")
        np.testing.assert_allclose(found.astype("f4"), x.astype("f4") @ weight.T, atol=0.3)
        out = np.zeros((*x.shape[:-1], 10), x.dtype)[..., ::2]
        tensor_ops.matmul_quantized(x, prepared, shape, "q80", out=out)
        np.testing.assert_array_equal(out, found)


def test_products_look_for_an_out_that_overlaps_every_time():
    memory, shape = np.ones(4 * 64, np.float32), (64, 64)
    prepared = tensor_ops.prepare_q40(tensor_ops.quantize_q40(floats(*shape)), shape)
    x, apart, meets = (memory[n:][:64] for n in (0, 64, 63))
    expected = tensor_ops.matmul_quantized(x, prepared, shape, "q40")
    for _ in range(2):
        found = tensor_ops.matmul_quantized(x, prepared, shape, "q40", out=apart)
        assert found is apart
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="memory"):
        tensor_ops.matmul_quantized(x, prepared, shape, "q40", out=meets)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=2, max_size=12))
def test_calls_in_any_order_with_any_arrays(calls):
    """Of one layout each, in any combination: also one array in two places."""
    arrays = [floats(12, 12, seed=seed) for seed in range(4)]
    rows = [a[0] for a in arrays]  # begins where its matrix does
    for x, weight, out, eps in calls:
        expected = rms(arrays[x].astype(float), rows[weight].astype(float), 10.0**-eps)
        if out in (x, weight):
            found = tensor_ops.rms_norm(arrays[x], rows[weight].copy(), 10.0**-eps)
        else:
            found = tensor_ops.rms_norm(arrays[x], rows[weight], 10.0**-eps, out=arrays[out])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
