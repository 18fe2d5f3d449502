"""One row's steps, recorded and run again: for which positions, and that they are the same."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import AutoModel, tensor_ops
from airllm.generation import Sampling
from airllm.model.cache import BUCKET
from airllm.model.decoder import Decoder
from airllm.model.embedding import Embedding
from airllm.model.row import RecordedRow
from airllm.tensor_ops.sampling import sample
from gint.host.recall import watched
from tests.airllm.checkpoints import model_of, tokens, write

pytestmark = [pytest.mark.torch, pytest.mark.cpp]


def opened(folder, case):
    """A model that records nothing by itself."""
    mine = AutoModel.from_pretrained(write(model_of(case), folder))
    mine._decoder.weights.is_recordable = False
    return mine


@pytest.mark.parametrize("case", ["llama", "mistral window", "qwen3"])
def test_the_steps_of_a_buckets_other_positions_are_those_that_were_watched(case, tmp_path):
    """Embeddings come before what is recorded: the same token, so that they are the same."""
    ids = np.append(tokens(BUCKET - 5), np.full(8, 7))
    with tensor_ops.use_backend("cpp"):
        mine = opened(tmp_path, case)
        cache, other = mine.new_cache(80), mine.new_cache(80)
        mine(ids[: BUCKET - 5], cache)
        mine(ids[: BUCKET - 5], other)
        with watched() as launches:
            logits = mine(ids[-1:], cache)
        cache.length -= 1  # the position that was watched, which is the first to be run
        row = RecordedRow(launches, cache, logits)
        assert not row.fits(other)
        for _ in range(5):
            assert row.fits(cache)
            expected, found = mine(ids[-1:], other), np.empty_like(logits)
            mine._decoder._embed(ids[-1:], mine._decoder._row.x)
            row(found)
            cache.length += 1
            np.testing.assert_array_equal(found, expected)
        assert cache.length == BUCKET
        assert not row.fits(cache)  # it looks at one bucket more
        np.testing.assert_array_equal(cache.keys, other.keys)
        np.testing.assert_array_equal(cache.values, other.values)


def test_launches_that_are_not_native_are_refused(tmp_path):
    with tensor_ops.use_backend("python"):
        mine = opened(tmp_path, "llama")
        cache = mine.new_cache(8)
        mine(tokens(3), cache)
        with watched() as launches:
            logits = mine(tokens(1), cache)
        cache.length -= 1
        with pytest.raises(TypeError, match="native"):
            RecordedRow(launches, cache, logits)


@pytest.mark.parametrize("sampling", [
    Sampling(), Sampling(repetition_penalty=1.3),
    Sampling(temperature=1.5, top_k=9, top_p=0.9, repetition_penalty=1.1, seed=3),
])  # fmt: skip
def test_a_token_is_one_native_call_from_the_last_one_on(sampling, tmp_path, monkeypatch):
    """From blocks that the output layer has too; the same as by logits and NumPy."""
    pytest.importorskip("gguf")
    from benchmarks.gguf_file import write_gguf

    model = model_of("llama", tie_word_embeddings=True, hidden_size=256, intermediate_size=256)
    with tensor_ops.use_backend("cpp"):
        mine = AutoModel.from_pretrained(write_gguf(model, tmp_path / "m.gguf", "q8_0"))
        cache, other = mine.new_cache(100), mine.new_cache(100)
        sampler, beside = mine.new_sampler(sampling), mine.new_sampler(sampling)
        last = tokens(5)
        beside.seen[last] = True
        for n in range(70):
            expected = mine(last, other)[0]
            with tensor_ops.use_backend("python"):
                beside.draw()
                sample(expected, beside.seen, beside.rule, beside.token)
            with monkeypatch.context() as patch:
                recorded = mine._decoder._recorded
                if recorded is not None and recorded.fits(cache, sampler):
                    patch.delattr(Decoder, "_run")
                    patch.delattr(Embedding, "__call__")
                assert mine.choose(last, cache, sampler) == beside.token[0], n
            last = sampler.token.copy()
        np.testing.assert_array_equal(sampler.seen, beside.seen)
        assert cache.length == other.length
