"""One compiled model for prompts and batches of many sizes: compiles are counted."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.conductor.weights.tiny_models import dequantized, ids, tiny

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]

OPTIONS = {"weights": "q8_0", "quantize_activations": False, "check": True}


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_two_graphs_serve_all_lengths(cache):
    from torch._dynamo.utils import counters

    model = tiny(num_hidden_layers=1, eos_token_id=None)
    reference = dequantized(model, "q8_0")
    settings = {"max_new_tokens": 4, "do_sample": False}
    if cache == "static":
        settings |= {"cache_implementation": "static", "disable_compile": True}
    model.forward = torch.compile(model.forward, backend="gint", dynamic=True, options=OPTIONS)
    counters.clear()
    for length in (5, 300, 2, 41):
        prompt = ids(1, length)
        wanted = reference.generate(prompt, max_new_tokens=4, do_sample=False)
        assert torch.equal(model.generate(prompt, **settings), wanted)
        assert counters["stats"]["unique_graphs"] == 2
