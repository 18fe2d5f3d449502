"""What a model is: sizes, choices, and one table of the families that differ in them.

All of them are decoders of the same build: RMS norm, grouped-query attention with rotary positions,
a gated feed-forward layer, twice a residual. What a family does in its own way is a row of the
table. Sources: the models' configurations and code in the package `transformers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """What models called by one `model_type` have in common."""

    qkv_bias: bool = False
    #: A norm over every head's queries and keys, before they are rotated.
    head_norms: bool = False
    #: Queries, keys and values are one tensor, and so are gate and up.
    fused: bool = False
    #: What is added to the weights of norms, as a Hugging Face checkpoint stores them.
    norm_offset: float = 0.0
    #: Embeddings are multiplied by the root of their length.
    scaled_embeddings: bool = False
    #: Whether the output layer is the embedding where a configuration says nothing.
    tied: bool = False
    #: What the configuration must say for its `sliding_window` to hold; "" where it always does.
    window_switch: str | None = None
    #: The architecture's name in GGUF files.
    gguf: str = ""


FAMILIES: dict[str, Family] = {
    "llama": Family(gguf="llama"),
    "mistral": Family(window_switch=""),
    "qwen2": Family(qkv_bias=True, window_switch="use_sliding_window", gguf="qwen2"),
    "qwen3": Family(head_norms=True, window_switch="use_sliding_window", gguf="qwen3"),
    "gemma": Family(norm_offset=1.0, scaled_embeddings=True, tied=True, gguf="gemma"),
    "phi3": Family(fused=True, window_switch="", gguf="phi3"),
}


@dataclass(frozen=True)
class Rope:
    """Rotary positions: the first `dims` values of a head are rotated."""

    dims: int
    theta: float
    #: Llama 3.1's, as `airllm.tensor_ops.apply_rope` takes it.
    scaling: Mapping[str, Any] | None = None
    #: What frequencies are divided by: one number, or one for each of the dims / 2.
    divisors: tuple[float, ...] = (1.0,)
    #: The pairs are values (2i, 2i + 1), as in GGUF's Llama; not (i, i + dims / 2).
    interleaved: bool = False


@dataclass(frozen=True)
class Architecture:
    """The sizes and choices of one model."""

    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    norm_eps: float
    #: "silu" or "gelu" (by tanh)
    activation: str
    rope: Rope
    #: A query sees this many positions, its own among them; None: all.
    window: int | None
    tied: bool
    qkv_bias: bool
    output_bias: bool
    feed_forward_bias: bool
    norm_offset: float
    embedding_scale: float
    #: The element type that matrices are said to have, "f32", "f16" or "bf16"; None: any.
    dtype: str | None
    end_tokens: tuple[int, ...]

    @property
    def facts(self) -> Family:
        return FAMILIES[self.family]

    @property
    def query_size(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_size(self) -> int:
        return self.kv_heads * self.head_dim
