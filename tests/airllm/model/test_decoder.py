"""The steps from tokens to logits, asked directly: rows, the cache's length, what is recorded."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops
from airllm.checkpoint import open_checkpoint
from airllm.model.cache import BUCKET, Cache
from airllm.model.decoder import Buffers, Decoder
from airllm.model.matrices import matrices
from airllm.model.resident import Resident
from tests.airllm.checkpoints import CASES, logits_of, model_of, tokens, write

pytestmark = pytest.mark.torch


def opened(folder):
    checkpoint = open_checkpoint(folder)
    weights = Resident(list(matrices(checkpoint)), {}, lambda done, total: None)
    return Decoder(checkpoint, weights)


def logits(decoder, rows):
    return np.full((rows, decoder.architecture.vocabulary), np.nan, np.float32)


@pytest.mark.parametrize("case", CASES)
def test_as_many_rows_of_logits_as_are_asked_for(case, backend, tmp_path):
    model, ids = model_of(case), tokens(5)
    wanted = logits_of(model, ids)
    with tensor_ops.use_backend(backend):
        decoder = opened(write(model, tmp_path))
        for rows in (1, 2, 5):
            cache, found = Cache(decoder.architecture, 8), logits(decoder, rows)
            decoder(ids, cache, found)
            np.testing.assert_allclose(found, wanted[-rows:], rtol=0, atol=1e-4)
            assert cache.length == 0  # whoever calls says when it is filled


@pytest.mark.cpp
def test_single_tokens_are_recorded_once_per_bucket(tmp_path):
    """With nothing in the cache nothing can be recorded yet."""
    with tensor_ops.use_backend("cpp"):
        decoder, ids = opened(write(model_of("llama"), tmp_path)), tokens(BUCKET + 4)
        cache, found = Cache(decoder.architecture, 2 * BUCKET), logits(decoder, len(ids))
        recorded = []
        for n in range(len(ids)):
            decoder(ids[n : n + 1], cache, found[n : n + 1])
            cache.length += 1
            recorded.append(decoder._recorded)
    assert recorded[0] is None
    assert len(set(recorded[1:BUCKET])) == 1
    assert len(set(recorded[BUCKET:])) == 1
    assert recorded[1] is not recorded[BUCKET]
    wanted = logits_of(model_of("llama"), ids)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_what_lies_between_steps_is_counted(tmp_path):
    a = open_checkpoint(write(model_of("qwen3"), tmp_path)).architecture
    wide = 3 * a.hidden + 2 * a.query_size + 2 * a.kv_size + 3 * a.intermediate
    for rows in (1, 7):
        assert Buffers(a, rows).nbytes == 4 * rows * wide
