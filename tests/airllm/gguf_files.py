"""Transformers models as GGUF files, as llama.cpp's converter lays them out, by gguf's writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

_ARCHITECTURES = {"mistral": "llama"}


def write_gguf(model: Any, path: Path, kind: str = "F32") -> Path:
    """The model in a file; `kind` is the type of its matrices, GGUF's name."""
    config = model.config
    family = config.model_type
    architecture = _ARCHITECTURES.get(family, family)
    writer = gguf.GGUFWriter(path, architecture)
    _metadata(writer, config)
    known = {text: number for number, text in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(known[architecture], config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.float().numpy()
        if architecture == "llama" and (".q_proj." in name or ".k_proj." in name):
            heads = config.num_attention_heads if ".q_" in name else config.num_key_value_heads
            values = permuted(values, heads)
        if family == "gemma" and name.endswith("norm.weight"):
            values = values + 1
        base, _, end = name.rpartition(".")
        _add(writer, f"{names.get_name(base)}.{end}", values, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def permuted(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a head from (halves, pairs) to (pairs, halves)."""
    split = values.reshape(heads, 2, -1, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(values.shape)


def _metadata(writer: Any, config: Any) -> None:
    rope = config.rope_parameters
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(head_dim * rope.get("partial_rotary_factor", 1)))
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "llama3":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        plain = 1 / rope["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
        stretched = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")[0].numpy()
        writer.add_tensor("rope_freqs.weight", (plain / stretched).astype(np.float32))
    if config.model_type in ("mistral", "phi3") and config.sliding_window:
        writer.add_sliding_window(config.sliding_window)
    writer.add_eos_token_id(config.eos_token_id)


def _add(writer: Any, name: str, values: np.ndarray, kind: str) -> None:
    kind = kind if values.ndim > 1 else "F32"
    if kind in ("F32", "F16"):
        writer.add_tensor(name, values.astype({"F32": np.float32, "F16": np.float16}[kind]))
        return
    raw = getattr(gguf.GGMLQuantizationType, kind)
    writer.add_tensor(name, gguf.quants.quantize(values, raw), raw_dtype=raw)
