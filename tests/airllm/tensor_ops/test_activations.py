"""SiLU and GELU on every backend, against the formula in float64."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops
from airllm.tensor_ops.activations import ACTIVATIONS as RECORDED
from airllm.tensor_ops.activations import gated
from airllm.tensor_ops.arrays import take
from tests.airllm.tensor_ops.reference import (
    gelu_erf_reference,
    gelu_reference,
    silu_reference,
)
from tests.airllm.tensor_ops.storage import SHAPES, STORAGE, assert_close, floats, wide

pytestmark = pytest.mark.usefixtures("on_backend")

ACTIVATIONS = {
    "silu": (tensor_ops.silu, silu_reference),
    "gelu tanh": (tensor_ops.gelu, gelu_reference),
    "gelu none": (lambda x: tensor_ops.gelu(x, "none"), gelu_erf_reference),
}
GATES = {
    "silu": silu_reference,
    "gelu": gelu_reference,
    "gelu_erf": gelu_erf_reference,
    "relu": lambda x: np.maximum(x, 0),
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


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 31)], ids=str)
def test_a_gate_is_written_over(shape, name):
    gate, up = floats(shape), floats(shape, seed=1)
    expected = GATES[name](wide(gate)) * wide(up)
    gated(take("gate", gate), take("up", up), name)
    assert_close(gate, expected, scale=8 * np.maximum(1, np.abs(expected)))
