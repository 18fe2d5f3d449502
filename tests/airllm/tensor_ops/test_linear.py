"""Dense products on every backend, where results lie, and what counts as sharing memory."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops
from airllm.tensor_ops import linear
from airllm.tensor_ops.arrays import Operand, take
from airllm.tensor_ops.linear import product, refuse_overlap, store
from tests.airllm.tensor_ops.reference import gelu_reference, silu_reference
from tests.airllm.tensor_ops.storage import STORAGE, assert_close, floats, wide

A = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def on_python():
    with tensor_ops.use_backend("python"):
        yield


@pytest.mark.parametrize(
    "shapes", [((2, 3), (3, 4)), ((3,), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4))]
)
def test_product_is_numpys_in_memory_of_its_own_or_in_out(shapes):
    a, b = (np.arange(np.prod(s), dtype=np.float32).reshape(s) for s in shapes)
    found = product(a, b)
    np.testing.assert_array_equal(found, a @ b)
    out = np.full_like(found, -1)
    assert product(a, b, out=out) is out
    np.testing.assert_array_equal(out, a @ b)


@pytest.mark.parametrize(
    "shapes",
    [((17, 5), (5, 9)), ((3, 13, 5), (5, 11)), ((3, 13, 5), (3, 5, 11)), ((12, 0), (0, 8))],
)
@pytest.mark.parametrize("by_columns", [False, True])
def test_a_backends_own_products_leave_the_blas_alone(shapes, by_columns, monkeypatch):
    """Whose threads spin for a while, and keep those of the next launch from their core."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s, np.float32) for s in shapes)
    if by_columns:
        b = np.ascontiguousarray(np.swapaxes(b, -1, -2)).swapaxes(-1, -2)
    wanted = a.astype("f8") @ b.astype("f8")
    bound = shapes[0][-1] * np.finfo("f4").eps * (np.abs(a) @ np.abs(b))
    monkeypatch.setattr(linear.np, "matmul", None)
    with tensor_ops.use_backend("cpp"):
        found = product(a, b)
        out = np.full_like(found, -1)
        product(a, b, out=out)
    assert (np.abs(found - wanted) <= bound).all()
    np.testing.assert_array_equal(out, found)


def test_rows_too_few_for_a_backends_products_are_numpys():
    with tensor_ops.use_backend("cpp"):
        np.testing.assert_array_equal(product(A, A.T), A @ A.T)
        wide = np.ones((2, 20, 3), np.float32).transpose(1, 0, 2)
        np.testing.assert_array_equal(product(wide, A.T), wide @ A.T)


def test_a_device_with_a_library_multiplies_there(monkeypatch):
    monkeypatch.setattr(linear, "multiplier", lambda backend: lambda a, b: a @ b + 100)
    np.testing.assert_array_equal(product(A, A.T), A @ A.T + 100)
    out = np.zeros((2, 2), np.float32)
    assert product(A, A.T, out=out) is out
    np.testing.assert_array_equal(out, A @ A.T + 100)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_store_rounds_to_the_results_type(dtype):
    result = take("y", np.empty((2, 3), dtype))
    store(result, A / 3)
    np.testing.assert_array_equal(result.array, (A / 3).astype(dtype))
    store(take("y", np.empty((0, 3), dtype)), A[:0])


def test_memory_is_shared_where_an_element_is():
    memory = np.zeros((4, 8), np.float32)
    left, right = Operand(memory[:, :4], "f32"), Operand(memory[:, 4:], "f32")
    refuse_overlap(left, x=right)
    with pytest.raises(ValueError, match=r"out\[1\] shares memory with w; it needs"):
        refuse_overlap(left, "out[1]", x=right, w=Operand(memory[3], "f32"))


def test_what_is_hard_to_tell_counts_as_shared():
    """Whether two such layouts meet is a problem in integers without an easy answer."""
    memory = np.zeros(1 << 16, np.float32)
    shape = (5,) * 6

    def spread(start, *steps):
        strides = tuple(4 * s for s in steps)
        return np.lib.stride_tricks.as_strided(memory[start:], shape, strides)

    a = spread(0, 1001, 1301, 1701, 1901, 2309, 2903)
    b = spread(1, 1003, 1303, 1709, 1907, 2311, 2909)
    with pytest.raises(np.exceptions.TooHardError):
        np.shares_memory(a, b, max_work=10_000)
    with pytest.raises(ValueError, match="out shares memory with x"):
        refuse_overlap(Operand(a, "f32"), x=Operand(b, "f32"))


@pytest.mark.usefixtures("on_backend")
@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 5), (0,)], ids=str)
@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 13), (64, 0), (0, 3)])
def test_matmul(lead, k, n, storage):
    x, weight = floats((*lead, k), storage), floats((k, n), storage, 1)
    found = tensor_ops.matmul_f32(x, weight)
    assert found.dtype == x.dtype
    assert_close(found, wide(x) @ wide(weight), scale=np.abs(wide(x)) @ np.abs(wide(weight)) + 1)


@pytest.mark.usefixtures("on_backend")
@pytest.mark.parametrize("activation", ["silu", "gelu", "relu"])
@pytest.mark.parametrize("storage", STORAGE)
def test_feed_forward(activation, storage):
    x, w1, w3 = floats((2, 3, 8), storage), floats((8, 12), storage), floats((8, 12), storage, 1)
    w2 = floats((12, 5), storage)
    act = {
        "silu": silu_reference,
        "gelu": gelu_reference,
        "relu": lambda x: np.maximum(x, 0),
    }[activation]
    gate, up = act(wide(x) @ wide(w1)), wide(x) @ wide(w3)
    found = tensor_ops.feed_forward(x, w1, w2, w3, activation)
    scale = np.abs(gate * up) @ np.abs(wide(w2)) * 8
    assert_close(found, (gate * up) @ wide(w2), scale=scale + 8)
