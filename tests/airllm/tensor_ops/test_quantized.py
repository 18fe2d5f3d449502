"""Quantised weights through airllm.tensor_ops, on every backend."""

from __future__ import annotations

import math
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm import tensor_ops as ops
from tests.quantized.matrices import bound_8_bits, floats

QUANTIZE = {"q40": ops.quantize_q40, "q80": ops.quantize_q80}
DEQUANTIZE = {"q40": ops.dequantize_q40, "q80": ops.dequantize_q80}
PREPARE = {"q40": ops.prepare_q40, "q80": ops.prepare_q80}
BLOCK_BYTES = {"q40": 18, "q80": 34}
HALF_UNIT = {"float32": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}
types = pytest.mark.parametrize("quant_type", QUANTIZE)


@pytest.fixture(autouse=True)
def on_backend(backend):
    with ops.use_backend(backend):
        yield


def assert_product(found, x, w, storage="float32"):
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    rows = x.reshape(math.prod(x.shape[:-1]), w.shape[1])
    expected = (rows @ w.T).reshape(*x.shape[:-1], len(w))
    bound = bound_8_bits(rows, w).reshape(expected.shape)
    bound = bound + HALF_UNIT[storage] * (np.abs(expected) + bound) + 1e-7
    assert found.shape == expected.shape
    assert found.dtype.name == storage
    assert np.all(np.abs(found.astype(np.float64) - expected) <= bound)


@types
@pytest.mark.parametrize("storage", HALF_UNIT)
@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 0, 3), (2, 3, 2)], ids=str)
def test_product(quant_type, storage, lead):
    dtype = ml_dtypes.bfloat16 if storage == "bfloat16" else storage
    data = QUANTIZE[quant_type](floats(37, 96, seed=1))
    x = floats(*lead, 96).astype(dtype)
    w = DEQUANTIZE[quant_type](data, (37, 96))
    prepared = PREPARE[quant_type](data, (37, 96))
    assert prepared.nbytes >= data.nbytes
    for held in (data, data.ravel(), prepared):
        assert_product(ops.matmul_quantized(x, held, (37, 96), quant_type), x, w, storage)


@types
@given(
    lead=st.lists(st.integers(0, 3), max_size=3),
    outputs=st.integers(0, 20),
    blocks=st.integers(0, 5),
)
def test_shapes(quant_type, lead, outputs, blocks):
    w = floats(outputs, 32 * blocks, seed=1)
    data, x = QUANTIZE[quant_type](w), floats(*lead, 32 * blocks)
    assert data.shape == (outputs, blocks * BLOCK_BYTES[quant_type])
    found = ops.matmul_quantized(x, data, w.shape, quant_type)
    assert_product(found, x, DEQUANTIZE[quant_type](data, w.shape))


@types
def test_strides_and_out(quant_type):
    data = QUANTIZE[quant_type](floats(20, 64, seed=1))
    w = DEQUANTIZE[quant_type](data, (20, 64))
    x = floats(4, 6, 128)
    for view in (x[:, ::2, ::2], x[..., ::-2], np.asfortranarray(x[..., :64]), x[::-1, 1, 64:]):
        assert_product(ops.matmul_quantized(view, data, (20, 64), quant_type), view, w)
    out = np.full((4, 6, 40), 7, np.float32)
    given_out = out[..., ::2]
    found = ops.matmul_quantized(x[..., :64], data, (20, 64), quant_type, out=given_out)
    assert found is given_out
    assert_product(found, x[..., :64], w)
    assert np.all(out[..., 1::2] == 7)
    spread = np.repeat(data, 2, axis=1)[:, ::2]
    assert_product(ops.matmul_quantized(x[..., :64], spread, (20, 64), quant_type), x[..., :64], w)


@types
def test_activations_as_they_are(quant_type):
    data = QUANTIZE[quant_type](floats(20, 2048, seed=1))
    w = DEQUANTIZE[quant_type](data, (20, 2048)).astype(np.float64)
    x = floats(3, 2048)
    args = (x, data, (20, 2048), quant_type)
    exact = ops.matmul_quantized(*args, quantize_activations=False)
    np.testing.assert_allclose(exact, x @ w.T, rtol=1e-5, atol=1e-4)


@types
def test_names(quant_type):
    w = floats(8, 32, seed=1)
    data, x = QUANTIZE[quant_type](w), floats(2, 32)
    names = (quant_type, quant_type.upper(), f"Q{quant_type[1]}_0", f"q{quant_type[1]}_0")
    results = [ops.matmul_quantized(x, data, (8, 32), name) for name in names]
    assert all(np.array_equal(results[0], r) for r in results)


@types
@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_quantise_other_storage(quant_type, storage):
    dtype = ml_dtypes.bfloat16 if storage == "bfloat16" else storage
    w = floats(2, 3, 64).astype(dtype)
    data = QUANTIZE[quant_type](w)
    np.testing.assert_array_equal(data, QUANTIZE[quant_type](w.astype(np.float32)))
    step = (
        np.abs(w.astype(np.float32)).reshape(-1, 32).max(axis=1)
        / {"q40": 8, "q80": 127}[quant_type]
    )
    error = np.abs(DEQUANTIZE[quant_type](data, w.shape) - w.astype(np.float32))
    assert np.all(
        error.reshape(-1, 32) <= step[:, None] * (1 if quant_type == "q40" else 0.57)
    )  # 127 of them, rounded to float16


@types
def test_prepared_weights_are_accepted_wherever_bytes_are(quant_type):
    data = QUANTIZE[quant_type](floats(19, 96, seed=1))
    prepared = PREPARE[quant_type](data, (19, 96))
    assert PREPARE[quant_type](prepared, (19, 96)) is prepared
    found = DEQUANTIZE[quant_type](prepared, (19, 96))
    np.testing.assert_array_equal(found, DEQUANTIZE[quant_type](data, (19, 96)))
    with ops.use_backend("python"):  # it runs where it was prepared
        assert_product(ops.matmul_quantized(floats(2, 96), prepared, (19, 96), quant_type),
                       floats(2, 96), found)  # fmt: skip


@pytest.mark.torch
@types
def test_tensors_come_back_as_tensors(quant_type):
    torch = pytest.importorskip("torch")
    w, x = torch.randn(8, 64), torch.randn(2, 3, 64, dtype=torch.bfloat16)
    data = QUANTIZE[quant_type](w)
    assert data.dtype == torch.uint8
    values = DEQUANTIZE[quant_type](data, (8, 64))
    assert values.dtype == torch.float32
    found = ops.matmul_quantized(x, data, (8, 64), quant_type)
    assert (found.dtype, found.shape) == (torch.bfloat16, (2, 3, 8))
    torch.testing.assert_close(found.float(), x.float() @ values.T, rtol=0.02, atol=0.2)
    assert QUANTIZE[quant_type](w.bfloat16()).dtype == torch.uint8


GENERAL = ["q4_0", "Q5_1", "iq4_nl", "q4_k", "Q6_K"]


@pytest.mark.parametrize("quant_type", GENERAL)
def test_any_format_by_its_name(quant_type):
    values = floats(19, 512, seed=1)
    data = ops.quantize(values, quant_type)
    w = ops.dequantize(data, (19, 512), quant_type)
    assert np.abs(w - values).mean() < 0.1
    prepared = ops.prepare(data, (19, 512), quant_type)
    x = floats(2, 3, 512)
    for held in (data, data.ravel(), prepared):
        assert_product(ops.matmul_quantized(x, held, (19, 512), quant_type), x, w)
        ids = np.array([[3, 18, 0], [3, 3, 1]])
        found = ops.dequantize_rows(ids, held, (19, 512), quant_type)
        np.testing.assert_array_equal(found, w[ids])
    np.testing.assert_array_equal(ops.dequantize(prepared, (19, 512), quant_type), w)


@pytest.mark.torch
def test_rows_of_tensors_are_tensors():
    torch = pytest.importorskip("torch")
    data = ops.quantize(torch.randn(8, 256), "q6_k")
    w = ops.dequantize(data, (8, 256), "q6_k")
    ids = torch.tensor([[7, 0]])
    for held in (data, ops.prepare(data, (8, 256), "q6_k")):
        torch.testing.assert_close(ops.dequantize_rows(ids, held, (8, 256), "q6_k"), w[ids])


DATA = np.zeros((4, 36), np.uint8)
WRONG = [
    (ValueError, lambda x: ops.quantize_q40(x[:, :33]), r"w has the shape \(2, 33\) .* of 32"),
    (
        ValueError,
        lambda x: ops.quantize_q80(x[0, 0, ...]),
        r"w has the shape \(\), 0 dim.* at least 1",
    ),
    (TypeError, lambda x: ops.quantize_q40(x.astype(np.float64)), "w holds float64; float32"),
    (TypeError, lambda x: ops.quantize_q40([1.0]), "w must be an array, not list"),
    (
        ValueError,
        lambda x: ops.dequantize_q40(DATA, (4, 32)),
        r"data has the shape \(4, 36\) and needs \(4, 18\) for Q4_0 of the shape \(4, 32\)",
    ),
    (ValueError, lambda x: ops.dequantize_q80(DATA, (4, 64)), r"and needs \(4, 68\) for Q8_0"),
    (ValueError, lambda x: ops.dequantize_q80(DATA, (4, 60)), r"shape is \(4, 60\) .* of 32"),
    (
        ValueError,
        lambda x: ops.dequantize_q80(DATA, (-4, 64)),
        r"shape is \(-4, 64\) .* negative",
    ),
    (TypeError, lambda x: ops.dequantize_q40(DATA, 64), "shape is 64 and must be a tuple"),
    (TypeError, lambda x: ops.dequantize_q40(DATA.view(np.int8), (4, 64)), "data holds int8"),
    (ValueError, lambda x: ops.quantize(x, "q4_k"), r"\(2, 64\) .* of 256 .* block of Q4_K holds"),
    (
        IndexError,
        lambda x: ops.dequantize_rows(np.array([0, 4]), DATA, (4, 64), "q4_0"),
        "ids holds 0 to 4; there are 4 rows",
    ),
    (
        IndexError,
        lambda x: ops.dequantize_rows(np.array(-1), DATA, (4, 64), "q4_0"),
        "ids holds -1 to -1",
    ),
    (
        TypeError,
        lambda x: ops.dequantize_rows(np.ones(2), DATA, (4, 64), "q4_0"),
        "ids holds float64; rows are chosen by integers",
    ),
    (TypeError, lambda x: ops.prepare_q40(bytes(144), (4, 64)), "data must be an array, not bytes"),
    (ValueError, lambda x: ops.prepare_q40(DATA, (2, 2, 64)), r"needs two dimensions, \(out, in\)"),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x, DATA, (4, 64), "q4_2"),
        r"'q4_2' is no format of blocks. There are: q4_0, q4_1",
    ),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x, DATA, (4, 64), "q80"),
        r"weight_data has the shape \(4, 36\) and needs \(4, 68\)",
    ),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x[:, :32], DATA, (4, 64), "q40"),
        r"x has the shape \(2, 32\) and needs \(2, 64\), as weight_shape is \(4, 64\)",
    ),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x[0, 0, ...], DATA, (4, 64), "q40"),
        r"x has .* \(\)",
    ),
    (
        TypeError,
        lambda x: ops.matmul_quantized(x, DATA, (4, 64), "q40", quantize_activations="no"),
        "quantize_activations must be a bool, not 'no'",
    ),
    (TypeError, lambda x: ops.matmul_quantized(x > 0, DATA, (4, 64), "q40"), "x holds bool"),
    (TypeError, lambda x: ops.matmul_quantized(x, DATA, (4, 6.4), "q40"), "weight_shape is"),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x, DATA, (4, 64), "q40", out=np.empty((2, 5), "f4")),
        r"out has the shape \(2, 5\) and needs \(2, 4\)",
    ),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x, DATA, (4, 64), "q40", out=x[:, :4]),
        "out shares memory with x",
    ),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x, ops.prepare_q40(DATA, (4, 64)), (2, 128), "q40"),
        r"weight_data has the shape \(4, 64\) and needs \(2, 128\)",
    ),
    (
        ValueError,
        lambda x: ops.matmul_quantized(x, ops.prepare_q40(DATA, (4, 64)), (4, 64), "q80"),
        "weight_data was prepared as q4_0, not q8_0",
    ),
]


@pytest.mark.parametrize(("error", "call", "words"), WRONG)
def test_what_is_refused(error, call, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 64), np.float32))


@types
def test_prepared_weights_copied_by_pickle_are_of_their_format(quant_type):
    with ops.use_backend("python"):
        prepared = PREPARE[quant_type](QUANTIZE[quant_type](floats(4, 64)), (4, 64))
    again = pickle.loads(pickle.dumps(prepared))
    assert ops.matmul_quantized(floats(2, 64), again, (4, 64), quant_type).shape == (2, 4)
