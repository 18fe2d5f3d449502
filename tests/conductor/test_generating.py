"""Models prepared for generate: one graph for all prompts and batches, counted; the same tokens."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from gint.conductor import prepare_generate
from tests.conductor.weights.tiny_models import dequantized, ids, tiny

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]

GREEDY = {"max_new_tokens": 3, "do_sample": False}


def graphs() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def test_one_graph_serves_prompts_tokens_batches_and_both_caches():
    model = tiny(num_hidden_layers=1, eos_token_id=None)
    reference = dequantized(model, "q8_0")
    prepare_generate(model, weights="q8_0", quantize_activations=False)
    static = {"cache_implementation": "static", "disable_compile": True}
    before = graphs()
    for batch, length in ((1, 1), (1, 2), (8, 1), (1, 2048), (3, 7), (8, 40)):
        prompt = ids(batch, length)
        wanted = reference.generate(prompt, **GREEDY)
        for cache in ({},) if length == 2048 else ({}, static):
            assert torch.equal(model.generate(prompt, **GREEDY, **cache), wanted)
            assert graphs() == before + 1


@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
def test_logits_of_prompts_with_padding(family):
    model = tiny(family, num_hidden_layers=1, eos_token_id=None)
    reference = tiny(family, num_hidden_layers=1, eos_token_id=None)
    prepare_generate(model)
    tokens, mask = ids(2, 9), torch.ones(2, 9, dtype=torch.long)
    mask[0, :4] = 0
    caches = [transformers.DynamicCache(), transformers.DynamicCache()]
    for end in (6, 7, 9):
        start = caches[0].get_seq_length()
        given = {"input_ids": tokens[:, start:end], "attention_mask": mask[:, :end]}
        found, wanted = (
            m(**given, past_key_values=cache, use_cache=True,
              position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, start:end])
            for m, cache in zip((model, reference), caches, strict=True)
        )  # fmt: skip
        counts = mask[:, start:end].bool()
        difference = (found.logits[counts] - wanted.logits[counts]).abs().max()
        assert difference < 1e-4 * wanted.logits.abs().max()
    torch.testing.assert_close(caches[0].layers[0].keys[1], caches[1].layers[0].keys[1])


def test_beams_and_samples_are_eagers():
    model, reference = (tiny(num_hidden_layers=1, eos_token_id=None) for _ in range(2))
    prepare_generate(model)
    prompt = ids(2, 5)
    for how in ({"num_beams": 3, "do_sample": False}, {"do_sample": True, "top_k": 5}):
        made = []
        for m in (model, reference):
            torch.manual_seed(3)
            made.append(m.generate(prompt, max_new_tokens=4, **how))
        assert torch.equal(*made)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("Mistral", {"num_hidden_layers": 1}),  # windows in every layer
        ("Gemma2", {"sliding_window": 8, "num_hidden_layers": 2}),  # in every other one; capped
        ("Gemma3", {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8}),
    ],
)
def test_windows_are_those_of_eager(family, settings):
    model, reference = (tiny(family, **settings, eos_token_id=None) for _ in range(2))
    reference.config._attn_implementation = "eager"
    prepare_generate(model)
    before = graphs()
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[0, :3] = 0
    for prompt, how in ((ids(2, 3), {}), (ids(1, 20), {}), (ids(2, 6), {"attention_mask": mask})):
        wanted = reference.generate(prompt, max_new_tokens=9, do_sample=False, **how)
        for cache in ({}, {"cache_implementation": "static", "disable_compile": True}):
            found = model.generate(prompt, max_new_tokens=9, do_sample=False, **how, **cache)
            assert torch.equal(found, wanted)
    assert graphs() == before + 1


@pytest.mark.parametrize("family", ["Mistral", "Gemma2"])
def test_several_tokens_at_once_follow_on_a_full_window(family):
    model, reference = (tiny(family, num_hidden_layers=2, sliding_window=8) for _ in range(2))
    reference.config._attn_implementation = "eager"
    prepare_generate(model)
    caches = [transformers.DynamicCache(config=model.config) for _ in range(2)]
    tokens = ids(1, 23)
    for first, stop in ((0, 5), (5, 6), (6, 14), (14, 23)):
        found, wanted = (m(tokens[:, first:stop], past_key_values=c, use_cache=True).logits
                         for m, c in zip((model, reference), caches, strict=True))  # fmt: skip
        assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()
    for layer, other in zip(*(c.layers for c in caches), strict=True):
        torch.testing.assert_close(layer.keys, other.keys)


def test_what_it_does_not_take_is_told():
    with pytest.raises(TypeError, match="decoder of transformers', not Linear"):
        prepare_generate(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="'q9' is no format of weights"):
        prepare_generate(tiny(num_hidden_layers=1), weights="q9")
    chunked = tiny(num_hidden_layers=1)
    chunked.config.layer_types = ["chunked_attention"]
    with pytest.raises(ValueError, match=r"other than attention \(chunked_attention\)"):
        prepare_generate(chunked)
    model = prepare_generate(tiny(num_hidden_layers=1))
    with pytest.raises(ValueError, match="does not take output_attentions"):
        model(ids(1, 3), output_attentions=True)
    with pytest.raises(ValueError, match=r"says of 3 tokens which count.*\(1, 4\)"):
        model(ids(1, 3), attention_mask=torch.ones(1, 4))
    model.train()
    with pytest.raises(RuntimeError, match="in training mode"):
        model(ids(1, 3))
