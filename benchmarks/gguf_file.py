"""A transformers model of random weights written as a GGUF file, by the package gguf.

What llama.cpp's own converter does, for the families of which it is simple: names by gguf's tables,
Llama's query and key rows in llama.cpp's order, Gemma's norms with their 1. No tokenizer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gint.conductor.weights.rewrite import quantized_weights
from gint.quantized import WeightFormats

#: transformers' name of a family -> GGUF's.
ARCHITECTURES = {
    "llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma2": "gemma2",
    "gemma3_text": "gemma3", "phi3": "phi3",
}  # fmt: skip


def write_gguf(model: Any, path: Path, weights: Any) -> Path:
    """Write the model, matrices in the formats that `weights` (as quantize's) chooses by
    transformers' names, everything else in float32."""
    import gguf

    config, formats = model.config, WeightFormats.of(weights)
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, architecture)
    _describe(writer, config, architecture)
    names = _gguf_names(model, architecture)
    for name, parameter in model.named_parameters():
        kind = name.rpartition(".")[2]
        values = _as_llama_cpp(name, parameter.detach().float(), config)
        chosen = formats.format_for(name) if values.dim() == 2 else None
        to = f"{names[name.rpartition('.')[0]]}.{kind}"
        if chosen is None:
            writer.add_tensor(to, values.numpy())
            continue
        blocks = quantized_weights(values, chosen)
        data = blocks.data.reshape(blocks.shape[0], -1)
        writer.add_tensor(to, data, raw_dtype=gguf.GGMLQuantizationType[chosen.gguf_name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: Any, config: Any, architecture: str) -> None:
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(config.model_type)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters.get("rope_theta", 10000.0))
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_vocab_size(config.vocab_size)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("none")


def _gguf_names(model: Any, architecture: str) -> dict[str, str]:
    """Modules by their names -> GGUF's names."""
    import gguf

    number = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == architecture)
    table = gguf.get_tensor_name_map(number, model.config.num_hidden_layers)
    modules = {name.rpartition(".")[0] for name, _ in model.named_parameters()}
    found = {name: table.get_name(name) for name in modules}
    lacking = [name for name, to in found.items() if to is None]
    assert not lacking, f"gguf has no names for {lacking}"
    return found


def _as_llama_cpp(name: str, values: torch.Tensor, config: Any) -> torch.Tensor:
    if config.model_type.startswith("gemma") and name.endswith("norm.weight"):
        return values + 1
    if config.model_type in ("llama", "mistral") and values.dim() == 2:
        if ".q_proj." in name:
            return _interleaved(values, config.num_attention_heads)
        if ".k_proj." in name:
            return _interleaved(values, config.num_key_value_heads)
    return values


def _interleaved(values: torch.Tensor, heads: int) -> torch.Tensor:
    """The halves of each head's rows in turn: llama.cpp rotates neighbours."""
    halves = values.reshape(heads, 2, -1, values.shape[1])
    return halves.transpose(1, 2).reshape(values.shape).contiguous()
