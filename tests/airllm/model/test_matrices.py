"""Matrices and vectors of every family, beside the weights that transformers has."""

from __future__ import annotations

import numpy as np
import pytest

from airllm.checkpoint import open_checkpoint
from airllm.model.matrices import last_norm, matrices, values, vectors
from tests.airllm.checkpoints import CASES, model_of, write
from tests.airllm.model.files import tensor_of

pytestmark = pytest.mark.torch
#: Key in a layer -> names of transformers' modules, one or the other.
MADE_OF = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.qkv_proj"),
    "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj", "mlp.gate_up_proj"),
    "down": ("mlp.down_proj",),
}


@pytest.fixture(params=CASES)
def both(request, tmp_path):
    """transformers' weights by name, and the checkpoint."""
    model = model_of(request.param)
    theirs = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return theirs, open_checkpoint(write(model, tmp_path))


def joined(theirs, layer, key, end):
    """What transformers has of a layer's matrix or bias, one below the other, or None."""
    names = [f"model.layers.{layer}.{module}.{end}" for module in MADE_OF[key]]
    found = [theirs[name] for name in names if name in theirs]
    return np.concatenate(found) if found else None


def test_matrices_in_the_order_a_token_meets_them(both):
    theirs, checkpoint = both
    found = list(matrices(checkpoint))
    keys = [f"{layer}.{key}" for layer in range(2) for key in MADE_OF]
    assert [m.key for m in found] == [*keys, "output"]
    expected = [joined(theirs, *key.split("."), "weight") for key in keys]
    expected.append(theirs["lm_head.weight"])
    for matrix, wanted in zip(found, expected, strict=True):
        rows = np.concatenate([t.read(0, t.shape[0]) for t in matrix.tensors])
        np.testing.assert_array_equal(rows, wanted)
        assert (matrix.outputs, matrix.inputs, matrix.nbytes) == (*wanted.shape, wanted.nbytes)


def test_vectors_of_a_layer(both):
    theirs, checkpoint = both
    offset = np.float32(checkpoint.architecture.family == "gemma")
    for layer in range(2):
        found, own = vectors(checkpoint, layer), f"model.layers.{layer}"
        expected = {
            "attention_norm": theirs[f"{own}.input_layernorm.weight"] + offset,
            "feed_forward_norm": theirs[f"{own}.post_attention_layernorm.weight"] + offset,
            "query_norm": theirs.get(f"{own}.self_attn.q_norm.weight"),
            "key_norm": theirs.get(f"{own}.self_attn.k_norm.weight"),
        }
        expected |= {f"{key}_bias": joined(theirs, layer, key, "bias") for key in MADE_OF}
        assert vars(found).keys() == expected.keys()
        for name, wanted in expected.items():
            np.testing.assert_equal(getattr(found, name), wanted)
    np.testing.assert_array_equal(last_norm(checkpoint), theirs["model.norm.weight"] + offset)


@pytest.mark.parametrize("kind", ["f32", "f16"])
def test_a_vectors_values_are_float32(kind, tmp_path):
    wanted = np.linspace(-2, 2, 7, dtype=np.float32)
    found = values(tensor_of(wanted, tmp_path / "v.bin", kind))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted.astype(np.float16) if kind == "f16" else wanted)
