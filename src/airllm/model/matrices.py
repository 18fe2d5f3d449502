"""The matrices of a model, in the order a token meets them, and which stored rows they are made of.

Queries, keys and values are one matrix here, and so are gate and up: one product instead of three.
Knows a checkpoint's tensors by role. Does not know where weights are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from airllm.checkpoint import Checkpoint, StoredTensor
from airllm.tensor_ops.arrays import Operand

#: What a layer multiplies with, in order, and the roles of the tensors each is made of.
_SEPARATE = {"qkv": ("q", "k", "v"), "o": ("o",), "gate_up": ("gate", "up"), "down": ("down",)}
_FUSED = {"qkv": ("qkv",), "o": ("o",), "gate_up": ("gate_up",), "down": ("down",)}


@dataclass(frozen=True)
class Matrix:
    """Stored tensors (out, in) one below the other. `key` is "output" or, for example, "3.qkv"."""

    key: str
    tensors: tuple[StoredTensor, ...]

    @property
    def outputs(self) -> int:
        return sum(t.shape[0] for t in self.tensors)

    @property
    def inputs(self) -> int:
        return self.tensors[0].shape[1]

    @property
    def nbytes(self) -> int:
        return sum(t.shape[0] * t.row_bytes for t in self.tensors)


@dataclass(frozen=True)
class Vectors:
    """The vectors of one layer, float32. Biases are None where the model has none."""

    attention_norm: np.ndarray
    feed_forward_norm: np.ndarray
    query_norm: np.ndarray | None = None
    key_norm: np.ndarray | None = None
    qkv_bias: np.ndarray | None = None
    o_bias: np.ndarray | None = None
    gate_up_bias: np.ndarray | None = None
    down_bias: np.ndarray | None = None


def matrices(checkpoint: Checkpoint) -> Iterator[Matrix]:
    """All matrices that rows are multiplied with, in order."""
    a, tensors = checkpoint.architecture, checkpoint.tensors
    made_of = _FUSED if a.facts.fused else _SEPARATE
    for layer in range(a.layers):
        for name, roles in made_of.items():
            yield Matrix(f"{layer}.{name}", tuple(tensors[f"{layer}.{r}"] for r in roles))
    yield Matrix("output", (tensors["embedding" if a.tied else "output"],))


def vectors(checkpoint: Checkpoint, layer: int) -> Vectors:
    """What else a layer has."""
    found, offset = checkpoint.tensors, np.float32(checkpoint.architecture.norm_offset)

    def joined(*roles: str) -> np.ndarray | None:
        stored = [found.get(f"{layer}.{role}") for role in roles]
        return None if None in stored else np.concatenate([values(t) for t in stored if t])

    def normed(role: str) -> np.ndarray | None:
        weight = joined(role)
        return None if weight is None else weight + offset

    return Vectors(
        _needed(normed("attention_norm")), _needed(normed("feed_forward_norm")),
        normed("query_norm"), normed("key_norm"), joined("q_bias", "k_bias", "v_bias"),
        joined("o_bias"), joined("gate_bias", "up_bias"), joined("down_bias"),
    )  # fmt: skip


def last_norm(checkpoint: Checkpoint) -> np.ndarray:
    """The weight of the norm before the output layer."""
    return values(checkpoint.tensors["norm"]) + np.float32(checkpoint.architecture.norm_offset)


def values(tensor: StoredTensor) -> np.ndarray:
    """A stored vector as float32."""
    return Operand(tensor.read(0, tensor.shape[0]), tensor.kind).float32()


def _needed(found: np.ndarray | None) -> np.ndarray:
    assert found is not None  # the checkpoint was checked when it was opened
    return found
