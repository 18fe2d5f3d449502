"""Language models with transformers' own caches: one file for the prompt and for every token."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import gint
from gint.conductor import export

from .small_models import MODELS, WORDS

pytestmark = pytest.mark.torch
FREE = torch.export.Dim.DYNAMIC
#: From nothing on: a prompt, tokens, several at once.
LENGTHS = (5, 1, 1, 3)


@pytest.fixture(scope="module")
def model():
    config, sizes, _ = MODELS["LlamaForCausalLM"]
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(getattr(transformers, config)(**sizes)).eval()


def equal(found, wanted) -> None:
    torch.testing.assert_close(torch.as_tensor(found), wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_dynamic_cache_is_keys_and_values_given_and_returned(model, tmp_path):
    cache = transformers.DynamicCache(config=model.config)
    model(input_ids=torch.arange(4)[None], past_key_values=cache)
    given = {"input_ids": torch.arange(3)[None], "past_key_values": cache, "use_cache": True}
    kept = [{2: FREE}]
    shapes = {"input_ids": {1: FREE}, "past_key_values": [kept, kept], "use_cache": None}
    path = tmp_path / "model.gint"
    export(model, (), given, dynamic_shapes=shapes, path=path)
    loaded = gint.load(path)
    ids = torch.randint(0, WORDS, (1, sum(LENGTHS)))
    wanted = model(input_ids=ids).logits
    for kind in (torch.as_tensor, torch.Tensor.numpy):
        none = [kind(torch.zeros(1, 2, 0, 16))]
        past, at = {"key_cache": none, "value_cache": none}, 0
        for n in LENGTHS:
            step = kind(ids[:, at : at + n])
            found = loaded(input_ids=step, past_key_values=past, use_cache=True)
            past = found["past_key_values"]
            equal(found["logits"], wanted[:, at : at + n])
            at += n


@torch.no_grad()
def test_a_static_cache_is_state_of_the_loaded_function(model, tmp_path):
    from transformers.integrations.executorch import TorchExportableModuleWithStaticCache

    model.generation_config.cache_implementation = "static"
    module = TorchExportableModuleWithStaticCache(model, batch_size=1, max_cache_len=16)
    path = tmp_path / "model.gint"
    given = {"input_ids": torch.arange(3)[None], "cache_position": torch.arange(3)}
    shapes = {"input_ids": {1: FREE}, "cache_position": {0: FREE}}
    export(module, (), given, dynamic_shapes=shapes, path=path)
    ids = torch.randint(0, WORDS, (1, sum(LENGTHS)))
    wanted = model(input_ids=ids).logits
    for kind in (torch.as_tensor, torch.Tensor.numpy):
        loaded, at = gint.load(path), 0
        for n in LENGTHS:
            here = torch.arange(at, at + n)
            found = loaded(input_ids=kind(ids[:, here]), cache_position=kind(here))
            equal(found, wanted[:, here])
            at += n
