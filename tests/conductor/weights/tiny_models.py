"""Tiny models of random weights, and the model that quantised weights stand for."""

from __future__ import annotations

import copy

import numpy as np
import torch
import transformers

from gint.conductor.weights.rewrite import quantized_weights
from gint.quantized import WeightFormats, dequantize

#: Rows of 256 values, which every format can hold; and 64 values in a head.
SIZES = {
    "vocab_size": 96, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
#: Family -> configuration beyond SIZES.
FAMILIES = {
    "Llama": {}, "Qwen2": {"tie_word_embeddings": True}, "Qwen3": {"head_dim": 64},
    "Mistral": {"sliding_window": 8}, "Gemma": {"head_dim": 64}, "Gemma2": {}, "Gemma3": {},
    "Phi3": {},
}  # fmt: skip


def tiny(family: str = "Llama", **settings) -> torch.nn.Module:
    """A model for inference; its matrices are large enough to differ between positions."""
    torch.manual_seed(0)
    kind = f"{family}TextConfig" if family == "Gemma3" else f"{family}Config"
    config = getattr(transformers, kind)(**SIZES | FAMILIES[family] | settings)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=0.06)
    return model.requires_grad_(False)


def dequantized(model: torch.nn.Module, weights) -> torch.nn.Module:
    """A copy whose matrices have the values that their blocks stand for."""
    formats, made = WeightFormats.of(weights), copy.deepcopy(model)
    for name, parameter in made.named_parameters():
        chosen = formats.format_for(name)
        if parameter.dim() == 2 and chosen is not None:
            blocks = quantized_weights(parameter, chosen)
            values = np.empty(blocks.shape, np.float32)
            parameter.copy_(torch.from_numpy(dequantize(blocks.data, blocks.shape, chosen, values)))
    return made


def ids(*shape: int) -> torch.Tensor:
    """Tokens, the same ones each time."""
    return torch.randint(3, SIZES["vocab_size"], shape, generator=torch.Generator().manual_seed(1))


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The norm of the difference over that of what is wanted."""
    return float((found.float() - wanted).norm() / wanted.norm())
