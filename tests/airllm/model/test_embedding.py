"""Embeddings from the file and, where the output layer is the same blocks in memory, from there."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import AutoModel, tensor_ops
from tests.airllm.checkpoints import model_of, tokens

pytestmark = pytest.mark.torch
SIZES = {"hidden_size": 256, "intermediate_size": 256}


def opened(folder, tied, stored, **options):
    pytest.importorskip("gguf")
    from benchmarks.gguf_file import write_gguf

    model = model_of("llama", tie_word_embeddings=tied, **SIZES)
    return AutoModel.from_pretrained(write_gguf(model, folder / "m.gguf", stored), **options)


@pytest.mark.parametrize("backend", ["cpp", "python"])
@pytest.mark.parametrize("weights", ["q4_0", "q4_1", "q8_0", "q3_k", "q4_k", "q6_k", "iq4_nl"])
@pytest.mark.parametrize("tied", [True, False])
def test_rows_are_what_the_blocks_mean(tied, weights, backend, tmp_path):
    with tensor_ops.use_backend(backend):
        embed = opened(tmp_path, tied, weights)._decoder._embed
        ids, found = tokens(5), np.empty((5, 256), np.float32)
        embed(ids, found)
    stored = embed._stored
    blocks = np.concatenate([stored.read(n, n + 1) for n in ids.tolist()])
    np.testing.assert_array_equal(found, tensor_ops.dequantize(blocks, found.shape, weights))
    assert (embed._in_memory is not None) == (tied and backend == "cpp")


def test_other_values_in_memory_are_not_read(tmp_path):
    """An output layer that was quantised on the way, and one that is read while computing."""
    floats = opened(tmp_path, True, "keep", weights="q8_0", cache_dir=False)
    assert floats._decoder._embed._in_memory is None
    streamed = opened(tmp_path, True, "q8_0", memory_budget=100_000)
    assert streamed._decoder._embed._in_memory is None
