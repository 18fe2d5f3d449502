"""Operators on quantised matrices, as whatever traces torch sees them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.weights.matrix import QuantizedMatrix
from gint.conductor.weights.model import cpu_products
from gint.conductor.weights.operators import EMBEDDING, LINEAR, matrix_of
from gint.quantized import format_of
from tests.quantized.matrices import values_of, weights_of

pytestmark = pytest.mark.torch


@pytest.fixture
def made():
    m = QuantizedMatrix("w", weights_of(format_of("q8_0"), 20, 64), cpu_products("python"))
    return m.for_products()


def test_a_product_in_the_type_of_x(made):
    w = torch.from_numpy(values_of(made.blocks)).float()
    bias = torch.randn(20)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x = torch.randn(3, 64, dtype=dtype)
        found = LINEAR(x, bias, made.key, False)
        assert found.dtype == dtype
        torch.testing.assert_close(found.float(), x.float() @ w.T + bias, rtol=1e-2, atol=1.0)


@pytest.mark.parametrize(
    ("x", "bias", "error", "reason"),
    [
        (torch.ones(3, 64).double(), None, TypeError, "takes float32, bfloat16 or float16"),
        (torch.ones(3, 63), None, ValueError, r"takes x of 64 columns, not \(3, 63\)"),
        (torch.ones(()), None, ValueError, "takes x of 64 columns"),
        (torch.ones(3, 64), torch.ones(19), ValueError, r"The bias of .* has shape \(19,\)"),
    ],
)
def test_what_does_not_fit(made, x, bias, error, reason):
    with pytest.raises(error, match=reason):
        LINEAR(x, bias, made.key, False)


def test_fake_tensors_have_the_shapes_and_types_of_real_ones(made):
    made.for_rows()
    with FakeTensorMode():
        x, ids = torch.empty(2, 3, 64, dtype=torch.bfloat16), torch.empty(5, dtype=torch.int64)
        product, rows = LINEAR(x, None, made.key, True), EMBEDDING(ids, made.key, torch.float16)
    assert (product.shape, product.dtype) == ((2, 3, 20), torch.bfloat16)
    assert (rows.shape, rows.dtype) == ((5, 64), torch.float16)


def test_there_are_no_gradients(made):
    x = torch.randn(3, 64, requires_grad=True)
    with pytest.raises(RuntimeError, match="Quantised weights are for inference"):
        LINEAR(x, None, made.key, False).sum().backward()


def test_the_matrix_of_a_node(made):
    graph = make_fx(lambda x: LINEAR(x, None, made.key, True) + 1)(torch.ones(1, 64)).graph
    product, total = (n for n in graph.nodes if n.op == "call_function")
    assert matrix_of(product) is made
    assert matrix_of(total) is None


def test_rows_of_nothing(made):
    ids = torch.empty((0, 2), dtype=torch.int64)
    assert EMBEDDING(ids, made.for_rows().key, torch.float32).shape == (0, 2, 64)
