"""What a stored tensor offers, and the roles tensors play, with the names two formats give them.

Knows no file of any format; what is wrong with one is a CheckpointError.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from .architecture import Architecture

#: Names of element types of tensors that hold floats.
FLOATS = ("f32", "f16", "bf16")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file, and the tensor if it is one."""


class StoredTensor(Protocol):
    """A tensor in a file, which is read when it is asked for."""

    @property
    def name(self) -> str:
        """What the file calls it."""

    @property
    def file(self) -> Path: ...
    @property
    def shape(self) -> tuple[int, ...]:
        """(out, in) of a matrix, (n,) of a vector."""

    @property
    def kind(self) -> str:
        """ "f32", "f16", "bf16", or the name of a block format (gint.quantized.FORMATS)."""

    @property
    def row_bytes(self) -> int:
        """The bytes of one entry of the first dimension."""

    def read(self, first: int, stop: int) -> np.ndarray:
        """Entries `first` to `stop` of the first dimension, in memory of their own: float32,
        float16, the bits of bfloat16 in uint16, or (rows, bytes of a row) uint8. Raises
        CheckpointError."""


class Checkpoint(Protocol):
    """An opened checkpoint."""

    @property
    def path(self) -> Path: ...
    @property
    def architecture(self) -> Architecture: ...
    @property
    def tensors(self) -> Mapping[str, StoredTensor]:
        """By role: "embedding", "3.q", "3.attention_norm" ... Raises KeyError for one it lacks."""

    @property
    def fingerprint(self) -> str:
        """A text that changes when a file does."""


#: Role -> the name in Hugging Face's checkpoints, and in GGUF files.
MODEL_ROLES = {
    "embedding": ("model.embed_tokens.weight", "token_embd.weight"),
    "norm": ("model.norm.weight", "output_norm.weight"),
    "output": ("lm_head.weight", "output.weight"),
}
#: The same of a layer, behind "model.layers.N." and "blk.N."
LAYER_ROLES = {
    "attention_norm": ("input_layernorm.weight", "attn_norm.weight"),
    "feed_forward_norm": ("post_attention_layernorm.weight", "ffn_norm.weight"),
    "query_norm": ("self_attn.q_norm.weight", "attn_q_norm.weight"),
    "key_norm": ("self_attn.k_norm.weight", "attn_k_norm.weight"),
    "q": ("self_attn.q_proj.weight", "attn_q.weight"),
    "k": ("self_attn.k_proj.weight", "attn_k.weight"),
    "v": ("self_attn.v_proj.weight", "attn_v.weight"),
    "qkv": ("self_attn.qkv_proj.weight", "attn_qkv.weight"),
    "q_bias": ("self_attn.q_proj.bias", "attn_q.bias"),
    "k_bias": ("self_attn.k_proj.bias", "attn_k.bias"),
    "v_bias": ("self_attn.v_proj.bias", "attn_v.bias"),
    "o": ("self_attn.o_proj.weight", "attn_output.weight"),
    "o_bias": ("self_attn.o_proj.bias", "attn_output.bias"),
    "gate": ("mlp.gate_proj.weight", "ffn_gate.weight"),
    "up": ("mlp.up_proj.weight", "ffn_up.weight"),
    "gate_up": ("mlp.gate_up_proj.weight", "ffn_up.weight"),
    "gate_bias": ("mlp.gate_proj.bias", "ffn_gate.bias"),
    "up_bias": ("mlp.up_proj.bias", "ffn_up.bias"),
    "down": ("mlp.down_proj.weight", "ffn_down.weight"),
    "down_bias": ("mlp.down_proj.bias", "ffn_down.bias"),
}


def shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    """Role -> shape, of every tensor that such a model has."""
    found: dict[str, tuple[int, ...]] = {
        "embedding": (a.vocabulary, a.hidden),
        "norm": (a.hidden,),
    }
    if not a.tied:
        found["output"] = (a.vocabulary, a.hidden)
    layer = _layer_shapes(a)
    for n in range(a.layers):
        found.update({f"{n}.{role}": shape for role, shape in layer.items()})
    return found


def _layer_shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    q, kv, hidden, wide = a.query_size, a.kv_size, a.hidden, a.intermediate
    found: dict[str, tuple[int, ...]] = {
        "attention_norm": (hidden,),
        "feed_forward_norm": (hidden,),
        "o": (hidden, q),
        "down": (hidden, wide),
    }
    if a.facts.fused:
        found |= {"qkv": (q + 2 * kv, hidden), "gate_up": (2 * wide, hidden)}
    else:
        found |= {"q": (q, hidden), "k": (kv, hidden), "v": (kv, hidden)}
        found |= {"gate": (wide, hidden), "up": (wide, hidden)}
    if a.facts.head_norms:
        found |= {"query_norm": (a.head_dim,), "key_norm": (a.head_dim,)}
    if a.qkv_bias:
        found |= {"q_bias": (q,), "k_bias": (kv,), "v_bias": (kv,)}
    if a.output_bias:
        found["o_bias"] = (hidden,)
    if a.feed_forward_bias:
        found |= {"gate_bias": (wide,), "up_bias": (wide,), "down_bias": (hidden,)}
    return found


def stored_name(role: str, column: int) -> str:
    """What a role's tensor is called: column 0, by Hugging Face; 1, in GGUF files."""
    layer, _, own = role.rpartition(".")
    if not layer:
        return MODEL_ROLES[own][column]
    return f"{('model.layers', 'blk')[column]}.{layer}.{LAYER_ROLES[own][column]}"


def check_tensor(tensor: StoredTensor, shape: tuple[int, ...], said_by: str) -> None:
    """Raises CheckpointError for a tensor of another shape than `said_by` makes it."""
    if tensor.shape != shape:
        raise CheckpointError(
            f"{tensor.file}: tensor {tensor.name!r} has the shape {tensor.shape}; "
            f"{said_by} makes it {shape}."
        )
