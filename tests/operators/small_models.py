"""Eight small models by their transformers configurations, with random weights."""

from __future__ import annotations

from typing import Any

import torch

VOCABULARY = 61
#: Sizes that language models share.
_TINY = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
         "num_attention_heads": 2}  # fmt: skip


def _of_tokens(model: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return model.eval(), {"input_ids": torch.randint(0, VOCABULARY, (2, 7)), **options}


def _of_image(model: Any, size: int) -> tuple[Any, dict[str, Any]]:
    return model.eval(), {"pixel_values": torch.randn(2, 3, size, size)}


def build(name: str) -> tuple[Any, dict[str, Any]]:
    """A model, and the arguments it is called with."""
    import transformers as t

    torch.manual_seed(0)
    if name in ("Llama", "Qwen3"):
        extra = {"head_dim": 8} if name == "Qwen3" else {}
        config = getattr(t, f"{name}Config")(
            vocab_size=VOCABULARY, num_key_value_heads=1, max_position_embeddings=32, **_TINY,
            **extra,
        )  # fmt: skip
        return _of_tokens(getattr(t, f"{name}ForCausalLM")(config), {"use_cache": False})
    if name == "BERT":
        config = t.BertConfig(vocab_size=VOCABULARY, max_position_embeddings=32, **_TINY)
        return _of_tokens(t.BertModel(config), {})
    if name == "GPT-2":
        config = t.GPT2Config(
            vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32,
            bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        return _of_tokens(t.GPT2LMHeadModel(config), {"use_cache": False})
    if name == "T5":
        config = t.T5Config(
            vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2
        )
        return _of_tokens(t.T5EncoderModel(config), {})
    if name == "ViT":
        return _of_image(t.ViTModel(t.ViTConfig(image_size=16, patch_size=8, **_TINY)), 16)
    if name == "ConvNeXt":
        config = t.ConvNextConfig(depths=[1, 1, 1, 1], hidden_sizes=[4, 8, 8, 12])
        return _of_image(t.ConvNextModel(config), 32)
    assert name == "ResNet"
    config = t.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8, 8, 12], depths=[1, 1, 1, 1], layer_type="basic"
    )
    return _of_image(t.ResNetModel(config), 32)


NAMES = ("Llama", "Qwen3", "BERT", "GPT-2", "T5", "ViT", "ConvNeXt", "ResNet")
