"""What is compiled and measured: the README's example and eight small models.

Weights are random and seeded, nothing is downloaded, there is no tokenizer. torch and
transformers are imported inside the builders, so that the names can be listed without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from gint.dataclass import frozen

VOCABULARY = 8192
TOKENS = 128
DECODER: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 512, "intermediate_size": 1376,
    "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4,
    "max_position_embeddings": 256,
}  # fmt: skip
ENCODER: dict[str, Any] = {
    "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6,
    "num_attention_heads": 6,
}  # fmt: skip


@frozen
class Built:
    """Something to call: `function(*args, **kwargs)`, on one device, in eval mode."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def call(self, function: Callable[..., Any]) -> Any:
        """Call `function` (this one, or a compiled form of it) and return its first tensor."""
        result = function(*self.args, **self.kwargs)
        return result if hasattr(result, "shape") else result[0]


@frozen
class Workload:
    """A builder, `build(device)`, with names for options, tables and headings."""

    name: str
    short: str
    title: str
    build: Callable[[str], Built]


def build_example(device: str) -> Built:
    """Build the function of the conductor's README, on its 1024 elements."""
    import torch

    def my_function(x, y):
        return x + y * 2

    x = torch.randn(1024, device=device)
    y = torch.randn(1024, device=device)
    return Built(my_function, (x, y))


def build_llama(device: str) -> Built:
    """Build a causal LM: 8 layers, hidden size 512, 8 heads on 4 key/value heads, 128 tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**DECODER)
    return _of_tokens(LlamaForCausalLM(config), device, {"use_cache": False})


def build_bert(device: str) -> Built:
    """Build an encoder: 6 layers, hidden size 384, 128 tokens."""
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=VOCABULARY, max_position_embeddings=256, **ENCODER)
    return _of_tokens(BertModel(config), device, {})


def build_gpt2(device: str) -> Built:
    """Build a causal LM with learned positions: 6 layers, hidden size 384, 128 tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=384,
        n_layer=6,
        n_head=6,
        n_positions=256,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _of_tokens(GPT2LMHeadModel(config), device, {"use_cache": False})


def build_vit(device: str) -> Built:
    """Build an image encoder: 6 layers, hidden size 384, one 224 x 224 image (197 tokens)."""
    import torch
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(**ENCODER)
    image = torch.randn(1, 3, 224, 224, device=device)
    return Built(ViTModel(config).eval().to(device), (), {"pixel_values": image})


def build_qwen3(device: str) -> Built:
    """Build a causal LM with normalised queries and keys: as `build_llama`'s."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(**DECODER, head_dim=64)
    return _of_tokens(Qwen3ForCausalLM(config), device, {"use_cache": False})


def build_t5(device: str) -> Built:
    """Build an encoder with relative positions: 6 layers, hidden size 384, 128 tokens."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=VOCABULARY, d_model=384, d_kv=64, d_ff=1536, num_layers=6, num_heads=6
    )
    return _of_tokens(T5EncoderModel(config), device, {})


def build_convnext(device: str) -> Built:
    """Build a convolutional encoder: 12 blocks, 64 to 512 channels, one 224 x 224 image."""
    import torch
    from transformers import ConvNextConfig, ConvNextModel

    model = ConvNextModel(ConvNextConfig(depths=[2, 2, 6, 2], hidden_sizes=[64, 128, 256, 512]))
    image = torch.randn(1, 3, 224, 224, device=device)
    return Built(model.eval().to(device), (), {"pixel_values": image})


def build_resnet(device: str) -> Built:
    """Build a residual net of 18 layers, one 224 x 224 image."""
    import torch
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2],
        layer_type="basic",
    )  # fmt: skip
    image = torch.randn(1, 3, 224, 224, device=device)
    return Built(ResNetModel(config).eval().to(device), (), {"pixel_values": image})


def _of_tokens(model: Any, device: str, options: dict[str, Any]) -> Built:
    """Pair a language model with one row of random token ids."""
    import torch

    ids = torch.randint(0, VOCABULARY, (1, TOKENS), device=device)
    return Built(model.eval().to(device), (), {"input_ids": ids, **options})


EXAMPLE = Workload(
    "example",
    "example",
    "The specification's example, x + y * 2",
    build_example,
)
LLAMA = Workload("llama", "Llama", "Llama, 8 layers, hidden size 512, 128 tokens", build_llama)
MODELS: tuple[Workload, ...] = (
    LLAMA,
    Workload("bert", "BERT", "BERT, 6 layers, hidden size 384, 128 tokens", build_bert),
    Workload("gpt2", "GPT-2", "GPT-2, 6 layers, hidden size 384, 128 tokens", build_gpt2),
    Workload("vit", "ViT", "ViT, 6 layers, hidden size 384, 197 tokens", build_vit),
)
#: Whose steady state is measured, and what runs without torch, too: those and four more.
EIGHT: tuple[Workload, ...] = (
    *MODELS,
    Workload("qwen3", "Qwen3", "Qwen3, 8 layers, hidden size 512, 128 tokens", build_qwen3),
    Workload("t5", "T5", "T5 encoder, 6 layers, hidden size 384, 128 tokens", build_t5),
    Workload("convnext", "ConvNeXt", "ConvNeXt, 12 blocks, 224 x 224 pixels", build_convnext),
    Workload("resnet", "ResNet", "ResNet-18, 224 x 224 pixels", build_resnet),
)
BY_NAME: dict[str, Workload] = {w.name: w for w in (EXAMPLE, *EIGHT)}
