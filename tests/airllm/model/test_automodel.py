"""Every family beside transformers' own models."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest

from airllm import AutoModel, tensor_ops
from airllm.generation import Sampling
from airllm.generation.sampling import Sampler
from gint.quantized import dequantize, format_of, quantize
from tests.airllm.checkpoints import CASES, logits_of, model_of, tokens, torch, transformers, write

pytestmark = pytest.mark.torch

#: Of float32 sums in another order, beside logits of up to 10.
CLOSE = {"rtol": 0, "atol": 1e-4}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case, tmp_path):
    model, ids = model_of(case), tokens(9)
    mine, wanted = AutoModel.from_pretrained(write(model, tmp_path)), logits_of(model, ids)
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(mine(ids, every=True), wanted, **CLOSE)
    np.testing.assert_allclose(mine(ids)[0], wanted[-1], **CLOSE)


@pytest.mark.parametrize("case", ["llama", "mistral window", "gemma"])
def test_tokens_one_by_one_and_in_pieces(case, tmp_path):
    """A cache is filled by one row, by several, and across the ends of buckets."""
    model, ids = model_of(case), tokens(70)
    mine, wanted = AutoModel.from_pretrained(write(model, tmp_path)), logits_of(model, ids)
    cache = mine.new_cache(len(ids))
    for first, last in ((0, 1), (1, 4), (4, 60), *((n, n + 1) for n in range(60, 70))):
        found = mine(ids[first:last], cache, every=True)
        np.testing.assert_allclose(found, wanted[first:last], **CLOSE)


@pytest.mark.parametrize("case", ["llama", "mistral window", "qwen3"])
def test_a_cache_of_halves(case, backend, tmp_path):
    """Keys and values are those of float32, rounded; logits are near."""
    model, ids = model_of(case), tokens(70)
    write(model, tmp_path)
    wanted = logits_of(model, ids)
    with tensor_ops.use_backend(backend):
        halves = AutoModel.from_pretrained(tmp_path, kv_cache="float16")
        cache, floats = halves.new_cache(70), AutoModel.from_pretrained(tmp_path).new_cache(70)
        pieces = (0, 1, 4, 66, 67, 68, 69, 70)
        for first, last in pairwise(pieces):
            found = halves(ids[first:last], cache, every=True)
            difference = np.linalg.norm(found - wanted[first:last])
            assert difference < 2e-3 * np.linalg.norm(wanted[first:last])
        AutoModel.from_pretrained(tmp_path)(ids, floats)
    assert cache.keys.dtype == cache.values.dtype == np.float16
    assert cache.keys.nbytes == floats.keys.nbytes // 2
    # The first layer's are made of embeddings alone.
    np.testing.assert_allclose(cache.keys[0], floats.keys[0], rtol=2**-10, atol=1e-5)
    np.testing.assert_allclose(cache.values[0], floats.values[0], rtol=2**-10, atol=1e-5)


def test_another_kind_of_cache_is_refused(tmp_path):
    write(model_of("llama"), tmp_path)
    with pytest.raises(ValueError, match="float32 or float16, not 'q8_0'"):
        AutoModel.from_pretrained(tmp_path, kv_cache="q8_0")


def test_every_backend(backend, tmp_path):
    model, ids = model_of("qwen3"), tokens(5)
    write(model, tmp_path)
    with tensor_ops.use_backend(backend):
        mine = AutoModel.from_pretrained(tmp_path)
        cache = mine.new_cache(5)
        found = np.concatenate([mine(ids[:4], cache, every=True), mine(ids[4:], cache)])
    np.testing.assert_allclose(found, logits_of(model, ids), **CLOSE)


@pytest.mark.cpp
@pytest.mark.parametrize("weights", ["keep", "q8_0"])
def test_a_model_that_is_used_on_another_backend(weights, tmp_path):
    """From a text's fifth token on, and back: there is nothing native to be recorded."""
    write(model_of("llama"), tmp_path)
    ids = tokens(9)
    with tensor_ops.use_backend("cpp"):
        mine = AutoModel.from_pretrained(tmp_path, weights=weights)
        cache = mine.new_cache(9)
        found = [mine(ids[:4], cache)]
    with tensor_ops.use_backend("python"):
        found += [mine(ids[4:5], cache), mine(ids[5:6], cache)]
    with tensor_ops.use_backend("cpp"):
        found += [mine(ids[n : n + 1], cache) for n in range(6, 9)]
        wanted = mine(ids, every=True)[3:]
    np.testing.assert_allclose(np.concatenate(found), wanted, **CLOSE)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_multiplied_as_it_is_stored(dtype, tmp_path):
    """The weights' values are exact in float32, in which everything is computed."""
    rounded = deepcopy(model_of("llama")).to(getattr(torch, dtype))
    write(rounded, tmp_path)
    mine, ids = AutoModel.from_pretrained(tmp_path), tokens(6)
    read = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    wanted = logits_of(read, ids)
    cache = mine.new_cache(6)
    np.testing.assert_allclose(mine(ids[:5], cache, every=True), wanted[:5], **CLOSE)
    np.testing.assert_allclose(mine(ids[5:], cache), wanted[5:], **CLOSE)


def test_several_shards(tmp_path):
    model, ids = model_of("llama"), tokens(4)
    write(model, tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    found = AutoModel.from_pretrained(tmp_path)(ids, every=True)
    np.testing.assert_allclose(found, logits_of(model, ids), **CLOSE)


@pytest.fixture
def mine(tmp_path):
    return AutoModel.from_pretrained(write(model_of("llama"), tmp_path))


def test_what_does_not_fit_is_refused(mine):
    with pytest.raises(ValueError, match=r"Token 211 does not exist; the vocabulary has 0 to 210"):
        mine([3, 211])
    with pytest.raises(ValueError, match="one integer or more"):
        mine([])
    cache = mine.new_cache(64)
    mine(tokens(60), cache)
    with pytest.raises(ValueError, match="5 tokens do not fit: the cache holds 60 of 64"):
        mine(tokens(5), cache)
    sampler = mine.new_sampler(Sampling())
    with pytest.raises(ValueError, match="for 7 tokens, and the model has 211"):
        mine.choose([3], cache, Sampler(Sampling(), 7))
    sampler.token[0] = 211
    with pytest.raises(ValueError, match="Token 211 does not exist"):
        mine.choose(sampler.token, cache, sampler)
    assert cache.length == 60


def test_a_cache_forgets(mine):
    ids, cache = tokens(8), mine.new_cache(8)
    wanted = mine(ids, cache)
    cache.truncate(5)
    np.testing.assert_allclose(mine(ids[5:], cache), wanted, **CLOSE)
    with pytest.raises(ValueError, match="holds 8 positions; 9 are none"):
        cache.truncate(9)


@pytest.mark.parametrize("name", ["q4_0", "q8_0", "q4_k", "q6_k"])
def test_quantised_on_the_way(name, tmp_path):
    """As a model whose matrices were rounded to blocks. Its last token is one native call."""
    ids, to = tokens(8), format_of(name)
    wide = {"hidden_size": 256, "intermediate_size": 512, "initializer_range": 0.1}
    wide = wide if to.block == 256 else {}
    model = deepcopy(model_of("llama", **wide))
    write(model, tmp_path)
    for key, values in model.state_dict().items():
        if values.ndim == 2 and "embed" not in key:
            data = quantize(values.numpy(), to)
            rounded = dequantize(data, values.shape, to, np.empty(values.shape, np.float32))
            values.copy_(torch.from_numpy(rounded))
    wanted = logits_of(model, ids)

    def found():
        mine = AutoModel.from_pretrained(tmp_path, weights=name)
        cache = mine.new_cache(8)
        first, *rest = ids[:6], ids[6:7], ids[7:]
        return np.concatenate([mine(first, cache, every=True), *(mine(i, cache) for i in rest)])

    with tensor_ops.use_backend("python"):  # which does not round activations
        np.testing.assert_allclose(found(), wanted, **CLOSE)
    # Activations in 8 bits are off by 0.5 % of their size (2.1 / 254 / sqrt(3) of normal ones,
    # whose largest of 32 is 2.1); nine products deep, with gates that double what is off: 4 %.
    assert np.linalg.norm(found() - wanted) < 0.04 * np.linalg.norm(wanted)


def test_formats_by_pattern(tmp_path):
    write(model_of("llama"), tmp_path)
    mine = AutoModel.from_pretrained(tmp_path, weights={"output": "keep", "*.qkv": "q8_0"})
    np.testing.assert_allclose(
        mine(tokens(3)), AutoModel.from_pretrained(tmp_path)(tokens(3)), atol=0.5
    )
    with pytest.raises(ValueError, match="'q9' is no format of weights"):
        AutoModel.from_pretrained(tmp_path, weights="q9")
    with pytest.warns(RuntimeWarning, match=r"like 'lm_head'; there are '0\.qkv' to 'output'"):
        AutoModel.from_pretrained(tmp_path, weights={"lm_head": "q8_0"})
