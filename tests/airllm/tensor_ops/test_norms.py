"""RMS norm, layer norm and softmax on every backend, against the formula in float64."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops
from tests.airllm.tensor_ops.reference import softmax_reference
from tests.airllm.tensor_ops.storage import SHAPES, STORAGE, assert_close, floats, wide

pytestmark = pytest.mark.usefixtures("on_backend")


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
