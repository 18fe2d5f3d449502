"""Modules that stand for others, with a quantised matrix in them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from gint.conductor.weights.matrix import QuantizedMatrix
from gint.conductor.weights.model import cpu_products
from gint.conductor.weights.modules import (
    QuantizedEmbedding,
    QuantizedLinear,
    is_quantizable,
    put_in_place,
)
from gint.quantized import format_of
from tests.quantized.matrices import values_of, weights_of

pytestmark = pytest.mark.torch


def matrix_of(out: int, width: int) -> QuantizedMatrix:
    return QuantizedMatrix("w", weights_of(format_of("q8_0"), out, width), cpu_products("python"))


def test_a_linear_layer_keeps_its_bias():
    model = nn.Sequential(nn.Linear(64, 20), nn.ReLU())
    m = matrix_of(20, 64)
    w, bias = torch.from_numpy(values_of(m.blocks)).float(), model[0].bias.detach()
    put_in_place(model, "0", m, quantize_activations=False)
    assert isinstance(model[0], QuantizedLinear)
    x = torch.randn(2, 3, 64)
    torch.testing.assert_close(model(x), torch.relu(x @ w.T + bias), rtol=1e-4, atol=1e-3)
    assert str(model[0]) == "QuantizedLinear(64, 20, q8_0)"
    assert model(x.bfloat16()).dtype == torch.bfloat16


def test_a_layer_without_bias_is_told_of_as_the_others_and_stays_as_it_is():
    model = nn.Sequential(nn.Linear(64, 20, bias=False))
    m = matrix_of(20, 64)
    put_in_place(model, "0", m)
    x, w = torch.randn(3, 64), torch.from_numpy(values_of(m.blocks)).float()
    assert (model(x) - x @ w.T).norm() < 0.02 * (x @ w.T).norm()
    assert str(model[0]) == "QuantizedLinear(64, 20, q8_0)"
    for name, value in (("bias", nn.Parameter(torch.ones(20))), ("quantize_activations", False)):
        with pytest.raises(AttributeError, match=f"{name} of a quantised layer"):
            setattr(model[0], name, value)


def test_an_embedding_keeps_its_type():
    model = nn.ModuleDict({"words": nn.Embedding(20, 64, dtype=torch.float16)})
    m = matrix_of(20, 64)
    w = torch.from_numpy(values_of(m.blocks)).half()
    put_in_place(model, "words", m)
    assert isinstance(model["words"], QuantizedEmbedding)
    ids = torch.tensor([[1, 19], [0, 1]])
    assert torch.equal(model["words"](ids), w[ids])
    with pytest.raises(IndexError, match="index out of range in self"):
        model["words"](torch.tensor([20]))
    with pytest.raises(IndexError, match="index out of range in self"):
        model["words"](torch.tensor([-1]))
    assert model["words"](torch.empty(0, 2, dtype=torch.int64)).shape == (0, 2, 64)


class Own(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("module", "answer"),
    [
        (nn.Linear(2, 2), True),
        (Own(2, 2), False),
        (nn.Embedding(2, 2), True),
        (nn.Embedding(2, 2, max_norm=1.0), False),
        (nn.ReLU(), False),
    ],
)
def test_which_modules(module, answer):
    assert is_quantizable(module) is answer
