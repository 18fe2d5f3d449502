"""gint's own operators on tensors; the array of a tensor of blocks is kept while that lives."""

from __future__ import annotations

import gc

import pytest

torch = pytest.importorskip("torch")

from gint.quantized import format_of
from gint.runtime.tensors import quantized
from tests.quantized.matrices import values_of, weights_of

pytestmark = pytest.mark.torch
FORMAT = format_of("q8_0")


@pytest.fixture
def blocks():
    weights = weights_of(FORMAT, 20, 64)
    data = torch.from_numpy(weights.data.reshape(20, -1).copy())
    return data, torch.from_numpy(values_of(weights)).float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_products_and_rows(blocks, dtype):
    data, w = blocks
    x, bias = torch.randn(3, 64, dtype=dtype), torch.randn(20, dtype=dtype)
    found = quantized.quantized_linear(x, bias, data, "q8_0", False)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), x.float() @ w.T + bias.float(), rtol=1e-2, atol=1.0)
    ids = torch.tensor([3, 19])
    rows = quantized.quantized_embedding(ids, data, "q8_0", dtype)
    torch.testing.assert_close(rows, w[ids].to(dtype))


def test_an_array_is_kept_until_its_tensor_changes_or_goes(blocks):
    data, _ = blocks
    first = quantized._array(data)
    assert quantized._array(data) is first
    assert not first.flags.writeable
    data.add_(0)
    assert quantized._array(data) is not first
    key = id(data)
    del data, blocks
    gc.collect()
    assert key not in quantized._arrays or quantized._arrays[key][0]() is not None
