"""One row's smaller steps in native code, beside their formulas in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gint.host.selection import select
from gint.native.loader import load_native
from gint.quantized import QuantizedWeights, format_of, quantize
from tests.kernel.interpreter.cpp.instruction_sets import run_on_each

pytestmark = pytest.mark.cpp
LENGTHS = [1, 3, 64, 67, 256, 1031]
FORMULAS = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_erf": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "relu": lambda x: np.maximum(x, 0),
}


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def quantized(rows, name):
    return QuantizedWeights(quantize(rows, format_of(name)), rows.shape, format_of(name))


def run(launch, *operands):
    launch(*operands)


def steps():
    return select("cpp").row_steps


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("n", LENGTHS)
def test_norm(n, adds):
    x, more, weight, out = (
        floats(3, n),
        floats(3, n, seed=1),
        floats(n, seed=2),
        np.empty((3, n), "f4"),
    )
    total = x.astype("f8") + (more if adds else 0)
    wanted = total / np.sqrt((total**2).mean(-1, keepdims=True) + 1e-3) * weight
    operands = (x, more, weight, out) if adds else (x, weight, out)
    run(steps().norm(x, more if adds else None, weight, 1e-3, out), *operands)
    np.testing.assert_allclose(out, wanted, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(x, total, rtol=1e-6, atol=1e-6)
    again = x.copy()
    run(steps().norm(again, None, weight, 1e-3, again), again, weight, again)
    np.testing.assert_array_equal(again, out)  # in place


@pytest.mark.parametrize("activation", FORMULAS)
@pytest.mark.parametrize("n", LENGTHS)
def test_gate(n, activation):
    both, out = floats(1, 2 * n) * 3, np.empty((1, n), np.float32)
    gates, ups = both[:, :n], both[:, n:]
    run(steps().gate(gates, ups, activation, out), gates, ups, out)
    wanted = FORMULAS[activation](gates.astype("f8")) * ups
    # A factor 1 + tanh or erf that is nearly 0 has lost digits.
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("n", LENGTHS)
def test_add(n):
    x, more = floats(1, n), floats(n, seed=1)
    wanted = x + more
    run(steps().add(x, more), x, more)
    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(
    ("heads", "kv_heads", "d", "half"), [(4, 2, 64, 32), (3, 3, 10, 3), (1, 1, 1, 0)]
)
def test_keep(heads, kv_heads, d, half, interleaved):
    qkv = floats(1, (heads + 2 * kv_heads) * d)
    angles = floats(1, half, seed=1).astype("f8")
    cos, sin = np.cos(angles).astype("f4"), np.sin(angles).astype("f4")
    cache, values = np.zeros((kv_heads, d, 5), "f4"), np.zeros((kv_heads, 7, d), "f4")
    every = qkv.reshape(-1, d).astype("f8")
    wanted = every.copy()
    pairs = (
        np.arange(2 * half).reshape(half, 2)
        if interleaved
        else np.arange(2 * half).reshape(2, half).T
    )
    for first, second, c, s in zip(*pairs.T, cos[0], sin[0], strict=True):
        a, b = every[:-kv_heads, first], every[:-kv_heads, second]
        wanted[:-kv_heads, first], wanted[:-kv_heads, second] = a * c - b * s, a * s + b * c
    operands = qkv, cos, sin, cache[:, :, 3], values[:, 2]
    run(steps().keep(*operands[:3], interleaved, *operands[3:]), *operands)
    queries = heads * d
    np.testing.assert_allclose(qkv[0, :queries], wanted[:heads].ravel(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(cache[:, :, 3], wanted[heads:-kv_heads], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(values[:, 2], wanted[-kv_heads:].astype("f4"))
    cache[:, :, 3], values[:, 2] = 0, 0
    assert not cache.any()  # nothing else was written
    assert not values.any()


@pytest.mark.parametrize(("kv_heads", "d"), [(2, 64), (3, 10), (1, 300)])
def test_halves_are_kept_rounded_to_the_nearest(kv_heads, d):
    qkv, none = floats(1, 4 * kv_heads * d), floats(1, 0)
    qkv[0, -1] = qkv[0, -1 - kv_heads * d] = 70000  # beyond the largest one
    cache, values = np.zeros((kv_heads, d, 5), "f2"), np.zeros((kv_heads, 7, d), "f2")
    operands = qkv, none, none, cache[:, :, 3], values[:, 2]
    run(steps().keep(*operands[:3], False, *operands[3:]), *operands)
    with np.errstate(over="ignore"):
        heads = qkv.reshape(-1, d).astype("f2")
    np.testing.assert_array_equal(cache[:, :, 3], heads[-2 * kv_heads : -kv_heads])
    np.testing.assert_array_equal(values[:, 2], heads[-kv_heads:])
    assert np.isinf(values[-1, 2, -1])
    cache[:, :, 3], values[:, 2] = 0, 0
    assert not cache.any()  # nothing else was written
    assert not values.any()
    with pytest.raises(ValueError, match="may both be float16"):
        steps().keep(qkv, none, none, False, cache[:, :, 3], values[:, 2].astype("f4"))


@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_embed(scale):
    rows = floats(37, 64)
    weights = select("cpp").quantized.prepare(quantized(rows, "q8_0"))
    token, out = np.zeros(1, np.int64), np.empty((1, 64), np.float32)
    launch = steps().embed(weights, scale, token, out)
    for n in (0, 36, 5, -1):
        token[0] = n
        launch(token, out)
        np.testing.assert_array_equal(out, weights.rows(token) * np.float32(scale))
    token[0] = 37
    with pytest.raises(IndexError, match="There is no row 37 of 37"):
        launch(token, out)
    with pytest.raises(TypeError, match="packed weights"):
        steps().embed(rows, scale, token, out)
    with pytest.raises(ValueError, match="other shapes or gaps"):
        steps().embed(weights, scale, token, out[:, 1:])
    with pytest.raises(ValueError, match="tokens are int64"):
        steps().embed(weights, scale, token.astype("i4"), out)


def test_what_a_token_is_chosen_by_has_types_of_its_own():
    """What is chosen is tested beside NumPy's way, in tests/airllm/tensor_ops/test_sampling.py."""
    given = floats(9), np.zeros(9, bool), np.zeros(5), np.zeros(1, np.int64)
    steps().sample(*given)(*given)
    for n, wrong in enumerate((floats(8), np.zeros(9, "u1"), np.zeros(4), np.zeros(1))):
        with pytest.raises(ValueError, match=r"A row's steps are|other shapes or gaps"):
            steps().sample(*given[:n], wrong, *given[n + 1 :])


def test_what_does_not_fit_is_refused():
    x, weight, out = floats(1, 8), floats(8), floats(1, 8)
    native = load_native()
    with pytest.raises(ValueError, match="other shapes or gaps"):
        native.row_norm(x, None, floats(3), 1e-5, out)
    with pytest.raises(ValueError, match="other shapes or gaps"):
        native.row_norm(x, floats(7), weight, 1e-5, out)
    with pytest.raises(ValueError, match="aligned float32 arrays"):
        native.row_norm(x.astype("f8"), None, weight, 1e-5, out)
    with pytest.raises(ValueError, match="activation has another name"):
        native.row_gate(x, x, "swish", out)
    with pytest.raises(ValueError, match="other shapes or gaps"):
        native.row_keep(floats(1, 30), floats(1, 2), floats(1, 2), True, floats(2, 4), floats(2, 4))
    with pytest.raises(TypeError, match="of NumPy arrays"):
        native.row_add([1.0], x)
    step = native.row_add(x, weight)
    with pytest.raises(ValueError, match="other shapes or gaps"):
        step(x, floats(9))
    with pytest.raises(ValueError, match="other shapes or gaps"):
        step(x)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="results writable"):
        step(out, weight)


@pytest.mark.checkout
def test_every_instruction_set():
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_row_steps import *\n"
        "for n in LENGTHS: test_norm(n, True), [test_gate(n, a) for a in FORMULAS]\n"
        "test_keep(4, 2, 64, 32, False), test_keep(3, 3, 10, 3, True)"
    )
