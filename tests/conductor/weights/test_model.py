"""Weights quantised ahead of the first call, and modules that hold them."""

from __future__ import annotations

import copy
import io
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from gint.conductor import quantize, statistics
from gint.conductor.weights import rewrite
from tests.conductor.weights.tiny_models import dequantized, ids, tiny

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]

EXACT = {"quantize_activations": False}


def test_the_first_call_finds_it_done(monkeypatch):
    model, tokens = tiny(num_hidden_layers=1, tie_word_embeddings=True), ids(1, 5)
    assert quantize(model, "q8_0") is model
    assert isinstance(model.lm_head, torch.nn.Linear)

    def refuse(*args):
        raise AssertionError("quantised twice")

    monkeypatch.setattr(rewrite, "quantized_weights", refuse)
    function = torch.compile(model, backend="gint", options={"weights": "q8_0", "check": True})
    function(tokens)
    assert statistics()[-1].externs["gint.quantized_linear[q8_0]"] == 8


@pytest.mark.parametrize("tied", [False, True])
def test_released(tied):
    source, tokens = tiny(num_hidden_layers=1, tie_word_embeddings=tied), ids(2, 5)
    weights = {"*.o_proj.*": "keep", "*": "q8_0"}
    wanted = dequantized(source, weights)(tokens).logits
    model = quantize(copy.deepcopy(source), weights, release=True, **EXACT)
    kept = [name for name, p in model.named_parameters() if p.dim() == 2]
    assert kept == ["model.layers.0.self_attn.o_proj.weight"]
    assert not any(p.requires_grad for p in model.parameters())
    torch.testing.assert_close(model(tokens).logits, wanted, rtol=1e-4, atol=1e-4)
    compiled = torch.compile(model, backend="gint", options={"check": True})
    torch.testing.assert_close(compiled(tokens).logits, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        torch.compile(model, backend="aot_eager")(tokens).logits, wanted, rtol=1e-4, atol=1e-4
    )


def test_training_through_quantised_modules_is_refused():
    model = quantize(torch.nn.Sequential(torch.nn.Linear(32, 32)), release=True)
    y = model(torch.ones(1, 32, requires_grad=True))
    with pytest.raises(RuntimeError, match="Quantised weights are for inference"):
        y.sum().backward()


def test_progress_where_rich_is(monkeypatch, capsys):
    quantize(tiny(num_hidden_layers=1), progress=True)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    capsys.readouterr()
    quantize(tiny(num_hidden_layers=1), progress=True)
    assert capsys.readouterr() == ("", "")


def test_what_is_no_model_or_no_format():
    with pytest.raises(TypeError, match=r"takes a torch\.nn\.Module, not dict"):
        quantize({}, "q8_0")
    with pytest.raises(ValueError, match="'q3' is no format"):
        quantize(torch.nn.Linear(32, 32), "q3")
    with pytest.raises(ValueError, match="no backend 'tpu'"):
        quantize(torch.nn.Linear(32, 32), backend="tpu")
    with pytest.warns(RuntimeWarning, match="like 'wieght'; there are 'weight' to 'bias'"):
        quantize(torch.nn.Linear(32, 32), {"wieght": "q8_0"})


def test_operands_that_do_not_fit():
    model = quantize(torch.nn.Sequential(torch.nn.Linear(32, 8)), release=True)
    with pytest.raises(ValueError, match=r"takes x of 32 columns, not \(2, 31\)"):
        model(torch.ones(2, 31))
    with pytest.raises(TypeError, match=r"takes float32, bfloat16 or float16, not torch\.float64"):
        model(torch.ones(2, 32, dtype=torch.float64))
    table = quantize(torch.nn.Sequential(torch.nn.Embedding(4, 32)), release=True)
    for wrong in (4, -1):
        with pytest.raises(IndexError, match="index out of range in self"):
            table(torch.tensor([0, wrong]))
    assert table(torch.zeros(0, dtype=torch.long)).shape == (0, 32)


def test_a_model_with_packed_weights_belongs_to_its_process():
    model = quantize(torch.nn.Sequential(torch.nn.Linear(32, 8)), release=True)
    with pytest.raises(TypeError, match="Prepared weights belong to their process"):
        torch.save(model, io.BytesIO())
