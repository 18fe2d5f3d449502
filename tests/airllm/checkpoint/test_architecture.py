"""What families do in their own way, beside transformers' own models, and the names GGUF has."""

from __future__ import annotations

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

from airllm.checkpoint import FAMILIES, open_checkpoint
from tests.airllm.checkpoints import CASES, model_of, torch, transformers, write

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_that_a_familys_models_have(family):
    found = [name for name, _ in model_of(family).named_parameters()]
    facts = FAMILIES[family]
    assert any(".q_proj.bias" in name for name in found) == facts.qkv_bias
    assert any(".q_norm." in name for name in found) == facts.head_norms
    assert any(".qkv_proj." in name for name in found) == facts.fused


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_familys_models_compute_in_their_own_way(family):
    """The offset of a norm's weights, and the scale of embeddings."""
    facts, model = FAMILIES[family], model_of(family).model
    x = torch.tensor(np.random.default_rng(0).standard_normal((3, 64), np.float32))
    with torch.no_grad():
        eps = model.config.rms_norm_eps
        normed = x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        torch.testing.assert_close(model.norm(x), normed * (model.norm.weight + facts.norm_offset))
        ids = torch.tensor([[5, 7]])
        embedded = model(ids, output_hidden_states=True).hidden_states[0]
        scale = 64**0.5 if facts.scaled_embeddings else 1
        torch.testing.assert_close(embedded, model.embed_tokens.weight[ids] * scale)


@pytest.mark.parametrize("family", FAMILIES)
def test_whether_embeddings_are_tied_where_nothing_is_said(family):
    silent = getattr(transformers, CASES[family][0])()
    assert silent.tie_word_embeddings == FAMILIES[family].tied


def test_names_are_those_of_the_package_gguf():
    named = {facts.gguf for facts in FAMILIES.values() if facts.gguf}
    assert named <= set(gguf.MODEL_ARCH_NAMES.values())


@pytest.mark.parametrize("case", CASES)
def test_sizes_of_queries_and_keys(case, tmp_path):
    model = model_of(case)
    a = open_checkpoint(write(model, tmp_path)).architecture
    attention = model.model.layers[0].self_attn
    assert a.facts is FAMILIES[a.family]
    assert a.query_size == attention.o_proj.in_features
    if not a.facts.fused:
        assert a.kv_size == attention.k_proj.out_features
