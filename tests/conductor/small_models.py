"""The eight models of the benchmarks, small: random weights, seeded. In a module of its own, so
that another process can make the same ones."""

from __future__ import annotations

from typing import Any

import torch
import transformers

WORDS = 100
LAYERS = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
}  # fmt: skip
DECODER = {"vocab_size": WORDS, "max_position_embeddings": 32, "head_dim": 16, **LAYERS}
STAGES = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}

#: The configuration of each, its sizes, and what a call says beside its input.
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "LlamaForCausalLM": ("LlamaConfig", DECODER, {"use_cache": False}),
    "Qwen3ForCausalLM": (
        "Qwen3Config", {**DECODER, "num_key_value_heads": 1}, {"use_cache": False},
    ),
    "BertModel": (
        "BertConfig", {"vocab_size": WORDS, "max_position_embeddings": 32, **LAYERS}, {},
    ),
    "GPT2LMHeadModel": (
        "GPT2Config",
        {"vocab_size": WORDS, "n_positions": 32, "n_embd": 32, "n_layer": 1, "n_head": 2,
         "bos_token_id": 0, "eos_token_id": 0},
        {"use_cache": False},
    ),
    "T5EncoderModel": (
        "T5Config",
        {"vocab_size": WORDS, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1,
         "num_heads": 2},
        {},
    ),
    "ViTModel": ("ViTConfig", {"image_size": 32, "patch_size": 8, **LAYERS}, {}),
    "ConvNextModel": ("ConvNextConfig", {"image_size": 32, **STAGES}, {}),
    "ResNetModel": ("ResNetConfig", {"embedding_size": 8, **STAGES}, {}),
}  # fmt: skip


def build(name: str) -> Any:
    config, sizes, _ = MODELS[name]
    torch.manual_seed(0)
    return getattr(transformers, name)(getattr(transformers, config)(**sizes)).eval()


def example(model: Any, batch: int, length: int) -> dict[str, torch.Tensor]:
    """Images or words for it; `length` is the number of words."""
    if reads_images(model):
        return {"pixel_values": torch.randn(batch, 3, 32, 32)}
    return {"input_ids": torch.randint(0, WORDS, (batch, length))}


def reads_images(model: Any) -> bool:
    return model.main_input_name == "pixel_values"
