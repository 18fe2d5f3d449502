"""Graphs whose constant matrices are quantised: which they are, what they compute, what is refused.

Compared with eager torch on the values that the blocks stand for. With activations as they are the
difference is that of sums in another order; with activations of 8 bits each product is off by the
bound that tests/quantized/test_products.py tests, which a model's norms carry on.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from gint.conductor import explain, statistics
from gint.conductor.explaining import explain_call
from gint.quantized import FORMATS
from tests.conductor.weights.tiny_models import FAMILIES, dequantized, ids, relative, tiny

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]

EXACT = {"quantize_activations": False, "check": True}


def compiled(function, weights, **options):
    return torch.compile(function, backend="gint", options={"weights": weights, **options})


def externs():
    return {k: n for k, n in statistics()[-1].externs.items() if k.startswith("gint.")}


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family):
    model, tokens = tiny(family), ids(2, 7)
    wanted = dequantized(model, "q8_0")(tokens).logits
    found = compiled(model, "q8_0", **EXACT)(tokens).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert externs()["gint.quantized_embedding[q8_0]"] == 1
    assert statistics()[-1].externs.get("aten.mm", 0) == 0


class Matrices(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(40, 256)
        self.layers = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.Linear(512, 40))

    def forward(self, tokens):
        return self.layers(self.table(tokens))


@pytest.mark.parametrize("weights", [f.name for f in FORMATS])
def test_formats(weights, options):
    model, tokens = Matrices().requires_grad_(False), ids(2, 5) % 40
    wanted = dequantized(model, weights)(tokens)
    exact = compiled(model, weights, quantize_activations=False, **options)(tokens)
    torch.testing.assert_close(exact, wanted, rtol=1e-4, atol=1e-4)
    assert externs() == {
        f"gint.quantized_linear[{weights}]": 2, f"gint.quantized_embedding[{weights}]": 1
    }  # fmt: skip
    torch._dynamo.reset()
    rounded = compiled(model, weights, **options)(tokens)
    assert relative(rounded, wanted) < 0.02


def test_patterns_choose():
    model, tokens = tiny(), ids(1, 4)
    weights = {"*.mlp.*": "q4_k", "lm_head*": "q6_k", "*.o_proj.*": "keep", "*": "q8_0"}
    found = compiled(model, weights, **EXACT)(tokens).logits
    assert externs() == {
        "gint.quantized_linear[q4_k]": 6, "gint.quantized_linear[q6_k]": 1,
        "gint.quantized_linear[q8_0]": 6, "gint.quantized_embedding[q8_0]": 1,
    }  # fmt: skip
    assert statistics()[-1].externs["aten.mm"] == 2
    wanted = dequantized(model, weights)(tokens).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    model, tokens = tiny().to(dtype), ids(1, 4)
    wanted = dequantized(model, "q8_0").float()(tokens).logits
    found = compiled(model, "q8_0", **EXACT)(tokens).logits
    assert found.dtype == dtype
    # Each of some ten roundings in each of two layers is off by up to eps / 2.
    assert relative(found, wanted) < 4 * torch.finfo(dtype).eps


class Products(torch.nn.Module):
    """Every way to multiply with a constant."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.w = torch.nn.Parameter(torch.randn(64, 96) * 0.1, requires_grad=False)
        self.bias = torch.nn.Parameter(torch.randn(96), requires_grad=False)
        self.linear = torch.nn.Linear(96, 64).requires_grad_(False)

    def forward(self, x):
        y = torch.matmul(x, self.w) + torch.addmm(self.bias, x, self.w)
        y = y @ self.linear.weight.t() + torch.mm(y, self.linear.weight.T) + self.linear(y)
        y = torch.addmm(self.linear.bias, y @ self.w, self.linear.weight.transpose(0, 1))
        return y @ (2 * self.w)


def test_products_of_all_kinds():
    model, x = Products(), torch.randn(5, 64)
    compiled_model = compiled(model, "q8_0", **EXACT)
    assert relative(compiled_model(x), model(x)) < 0.02
    assert externs() == {"gint.quantized_linear[q8_0]": 7}
    assert statistics()[-1].externs["aten.mm"] == 1, "2 * w is no constant"


def test_training_is_refused():
    model = tiny().requires_grad_(True)
    with pytest.raises(Exception, match=r"'model\.embed_tokens\.weight' requires gradients"):
        compiled(model, "q8_0")(ids(1, 4))
    layer = torch.nn.Linear(32, 32).requires_grad_(False)
    with pytest.raises(Exception, match=r"the input .* requires gradients"):
        compiled(layer, "q8_0")(torch.ones(1, 32, requires_grad=True))


def test_a_weight_that_changes_is_told_of():
    model = torch.nn.Linear(64, 32).requires_grad_(False)
    x, function = torch.randn(3, 64), compiled(model, "q8_0", **EXACT)
    function(x)
    model.weight.mul_(2)
    with pytest.raises(RuntimeError, match="'weight' was written to after its value was taken"):
        function(x)
    torch._dynamo.reset()
    torch.testing.assert_close(function(x), dequantized(model, "q8_0")(x), rtol=1e-4, atol=1e-4)
    model.weight = torch.nn.Parameter(torch.zeros(32, 64), requires_grad=False)
    with pytest.raises(RuntimeError, match="'weight' was replaced after"):
        function(x)


def test_what_no_block_fits_is_kept():
    model, x = torch.nn.Linear(48, 32).requires_grad_(False), torch.randn(3, 48)
    with pytest.warns(RuntimeWarning, match="keeps 'weight' as it is: its rows of 48 values"):
        found = compiled(model, "q8_0")(x)
    torch.testing.assert_close(found, model(x))


def test_what_another_operator_reads_is_kept_and_named():
    """torch's own attention is one call in a graph of Dynamo's: no product is seen in it."""
    layer = torch.nn.TransformerEncoderLayer(32, 1, 32, 0.0, batch_first=True)
    model, x = layer.eval().requires_grad_(False), torch.randn(2, 3, 32)
    named = r"'self_attn.in_proj_weight' \(multi_head_attention_forward\), 'self_attn.out_proj"
    with pytest.warns(RuntimeWarning, match=named):
        found = compiled(model, "q8_0")(x)
    assert 0 < relative(found, model(x)) < 0.02


def test_a_weight_is_quantised_once():
    model = tiny()
    function = compiled(model, "q8_0", **EXACT)
    for length in (3, 4, 5):
        function(ids(1, length))
    keys = {line.split(", ")[2] for r in statistics()[-2:] for line in r.plan.splitlines()
            if "quantized_linear" in line}  # fmt: skip
    assert len(keys) == 15


def test_odd_sizes_and_values():
    model = torch.nn.Linear(32, 7).requires_grad_(False)
    function = compiled(model, "q8_0", **EXACT)
    reference = dequantized(model, "q8_0")
    for rows in (0, 1, 17):
        x = torch.randn(rows, 32)
        torch.testing.assert_close(function(x), reference(x), rtol=1e-4, atol=1e-4)
    x = torch.randn(2, 3, 64)[..., ::2]
    x[0, 0, 0], x[1, 1, 1] = float("nan"), float("inf")
    torch.testing.assert_close(function(x), reference(x), rtol=1e-4, atol=1e-4, equal_nan=True)
    torch.testing.assert_close(function(x[0, 0]), reference(x[0, 0]), equal_nan=True)


def test_results_have_the_same_bits_for_any_number_of_threads():
    model, tokens = tiny(num_hidden_layers=1), ids(3, 9)
    function, before = compiled(model, "q8_0"), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(function(tokens).logits)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_explain_names_the_format():
    layer = torch.nn.Linear(64, 64).requires_grad_(False)
    said = str(explain_call(layer, (torch.ones(1, 64),), {}, {"weights": "q4_0"}))
    assert "quantised:          1 x gint.quantized_linear[q4_0]" in said
    assert "quantised" not in str(explain(layer, torch.ones(1, 64)))
