"""GGUF files of every family beside the transformers model they were made of."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import AutoModel, tensor_ops
from airllm.checkpoint import CheckpointError
from gint.quantized import dequantize, format_of
from tests.airllm.checkpoints import logits_of, model_of, tokens
from tests.airllm.gguf_files import gguf, write_gguf

pytestmark = pytest.mark.torch
CASES = [
    "llama", "llama linear", "llama biases, tied, stretched", "mistral", "qwen2", "qwen3", "gemma",
    "phi3",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case, tmp_path):
    model, ids = model_of(case), tokens(9)
    mine = AutoModel.from_pretrained(write_gguf(model, tmp_path / "model.gguf"))
    cache = mine.new_cache(9)
    found = np.concatenate([mine(ids[:8], cache, every=True), mine(ids[8:], cache)])
    np.testing.assert_allclose(found, logits_of(model, ids), atol=1e-4)
    assert mine.end_tokens == (2,)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_0", "Q8_0", "Q5_1"])
def test_types_of_matrices(kind, tmp_path):
    """Blocks are multiplied as they are in the file. The embedding is one of them."""
    model = model_of("qwen2")
    path = write_gguf(model, tmp_path / "model.gguf", kind)
    reader, rounded = gguf.GGUFReader(path), write_gguf(model, tmp_path / "f32.gguf")
    assert {t.tensor_type.name for t in reader.tensors if len(t.shape) > 1} == {kind}
    _overwrite(rounded, reader)
    with tensor_ops.use_backend("python"):
        ids = tokens(6)
        wanted = AutoModel.from_pretrained(rounded)(ids, every=True)
        found = AutoModel.from_pretrained(path)(ids, every=True)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    mine = AutoModel.from_pretrained(path)
    cache = mine.new_cache(6)
    found = np.concatenate([mine(ids[:5], cache, every=True), mine(ids[5:], cache)])
    assert np.linalg.norm(found - wanted) < 0.04 * np.linalg.norm(wanted)


def _overwrite(path, reader):
    """Gives a float32 file the values that another one's tensors mean."""
    values = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    for tensor in gguf.GGUFReader(path, "r+").tensors:
        tensor.data[...] = values[tensor.name].reshape(tensor.data.shape)


def test_a_truncated_file_names_the_tensor(tmp_path):
    path = write_gguf(model_of("llama"), tmp_path / "model.gguf")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 1000])
    last = max(gguf.GGUFReader(write_gguf(model_of("llama"), tmp_path / "b.gguf")).tensors,
               key=lambda t: t.data_offset).name  # fmt: skip
    with pytest.raises(CheckpointError, match=rf"model.gguf is broken: it ends within .*{last}"):
        AutoModel.from_pretrained(path)
    path.write_bytes(data[:300])
    with pytest.raises(CheckpointError, match=r"model.gguf is no sound GGUF file"):
        AutoModel.from_pretrained(path)


def test_files_of_other_models_are_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "mamba")
    writer.add_tensor("a", np.zeros(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match="architecture 'mamba'; known are llama, qwen2"):
        AutoModel.from_pretrained(tmp_path / "x.gguf")


def test_blocks_are_not_quantised_again(tmp_path):
    path = write_gguf(model_of("llama"), tmp_path / "model.gguf", "Q8_0")
    with pytest.raises(ValueError, match=r"holds blocks, q8_0, already.*weights='keep'"):
        AutoModel.from_pretrained(path, weights="q4_0")


def test_rows_are_read_where_they_are(tmp_path):
    from airllm.checkpoint import open_checkpoint

    model = model_of("llama")
    path = write_gguf(model, tmp_path / "model.gguf", "Q8_0")
    tensor = open_checkpoint(path).tensors["1.down"]
    rows = tensor.read(3, 7)
    assert rows.shape == (4, tensor.row_bytes)
    shape = (4, tensor.shape[1])
    found = dequantize(rows, shape, format_of("q8_0"), np.empty(shape, np.float32))
    wanted = model.state_dict()["model.layers.1.mlp.down_proj.weight"].numpy()[3:7]
    np.testing.assert_allclose(found, wanted, atol=0.01)
