"""What is wrong with a folder, in a sentence that names file and tensor."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from airllm.checkpoint import CheckpointError, open_checkpoint
from airllm.checkpoint.tensors import stored_name
from tests.airllm.checkpoints import model_of, write

pytestmark = pytest.mark.torch
DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture
def folder(tmp_path):
    """Several shards."""
    write(model_of("llama"), tmp_path, max_shard_size="100KB")
    return tmp_path


@pytest.fixture
def single(tmp_path):
    write(model_of("llama"), tmp_path)
    return tmp_path


def refused(folder, sentence, **options):
    with pytest.raises(CheckpointError, match=sentence):
        open_checkpoint(folder, **options)


def shard_of(folder, name):
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"][name]


def change(file, **entries):
    said = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in {**said, **entries}.items() if v is not None}))


def test_a_missing_shard(folder):
    shard = shard_of(folder, DOWN)
    (folder / shard).unlink()
    refused(
        folder, rf"{re.escape(shard)} is missing; .*says that it holds tensor '(lm_head|model)\."
    )


def test_a_truncated_shard(folder):
    shard = folder / shard_of(folder, DOWN)
    data = shard.read_bytes()
    shard.write_bytes(data[:-7])
    last = max(
        ((e["data_offsets"][1], n)
         for n, e in json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).items()
         if n != "__metadata__"),
    )[1]  # fmt: skip
    refused(folder, rf"{shard.name} is broken: it ends within tensor '{last}', 7 bytes too early")
    shard.write_bytes(data[:30])
    refused(folder, rf"{shard.name} is broken: a header of \d+ bytes does not fit into its 30")
    shard.write_bytes(b"\0" * 100)
    refused(folder, rf"{shard.name} is broken: ")


def test_a_file_that_shrinks_while_it_is_used(single):
    tensor = open_checkpoint(single).tensors["1.down"]
    file = single / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=rf"model.safetensors ends within tensor '{DOWN}'"):
        tensor.read(0, 64)


def test_a_tensor_that_is_missing(folder, tmp_path):
    index = folder / "model.safetensors.index.json"
    names = json.loads(index.read_text())["weight_map"]
    change(index, weight_map={k: v for k, v in names.items() if k != DOWN})
    refused(folder, rf"index.json has no tensor '{DOWN}', which config.json asks for")
    other = next(file for file in names.values() if file != names[DOWN])
    change(index, weight_map={**names, DOWN: other})
    refused(folder, rf"{other} has no tensor '{DOWN}', which .*index.json says it has")


def test_shapes_and_types_that_config_does_not_say(single):
    config = single / "config.json"
    change(config, dtype="bfloat16")
    refused(single, r"embed_tokens.weight' holds f32; config.json says bf16.*dtype='stored'")
    assert open_checkpoint(single, dtype="stored").architecture.hidden == 64
    change(config, dtype="float32", intermediate_size=128)
    refused(single, r"down_proj.weight' has the shape \(64, 96\); config.json makes it \(64, 128\)")


def test_types_that_are_no_floats(single):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(single / "model.safetensors")
    tensors[DOWN] = tensors[DOWN].astype(np.int8)
    save_file(tensors, single / "model.safetensors")
    refused(single, f"tensor '{DOWN}' holds I8; F32, F16 and BF16 are read")


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"model_type": "mamba"}, "type 'mamba'; known are llama, mistral"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; known are silu"),
        ({"num_hidden_layers": None}, "num_hidden_layers is None; a positive integer"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "positions of type 'yarn'; known are default"),
    ],
)
def test_models_that_are_not_known(entries, sentence, single):
    change(single / "config.json", **entries)
    refused(single, sentence)


def test_files_that_are_none(tmp_path):
    refused(tmp_path / "absent", "there is no such file or folder")
    refused(tmp_path, r"config.json is missing")
    (tmp_path / "config.json").write_text("[")
    refused(tmp_path, r"config.json cannot be read")
    (tmp_path / "model.bin").write_text("")
    refused(tmp_path / "model.bin", r"is no checkpoint: a folder with config.json")
    with pytest.raises(ValueError, match="dtype must be 'config' or 'stored'"):
        open_checkpoint(tmp_path, dtype="float32")


def test_older_configurations(single):
    """Before transformers 5 theta stood by itself, and scaling had a field of its own."""
    rope = {"rope_type": "linear", "factor": 2.0}
    change(single / "config.json", rope_parameters=None, rope_theta=5e5, rope_scaling=rope)
    found = open_checkpoint(single).architecture.rope
    assert (found.theta, found.divisors) == (5e5, (2.0,))


def test_the_end_tokens_of_generation_hold(single):
    assert open_checkpoint(single).architecture.end_tokens == (2,)
    (single / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert open_checkpoint(single).architecture.end_tokens == (5, 6)


def test_the_fingerprint_changes_with_a_file(single):
    before = open_checkpoint(single).fingerprint
    assert open_checkpoint(single).fingerprint == before
    change(single / "config.json", extra=1)
    assert open_checkpoint(single).fingerprint != before


def test_names_by_both_columns():
    assert stored_name("3.gate", 0) == "model.layers.3.mlp.gate_proj.weight"
    assert stored_name("3.gate", 1) == "blk.3.ffn_gate.weight"
    assert stored_name("output", 1) == "output.weight"
