"""The eight small models of the benchmarks: each is saved once, with free sizes, and equals eager
with torch and on NumPy arrays."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import gint
from gint.conductor import export

pytestmark = pytest.mark.torch
FREE = torch.export.Dim.DYNAMIC
WORDS = 100
LAYERS = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
}  # fmt: skip
DECODER = {"vocab_size": WORDS, "max_position_embeddings": 32, "head_dim": 16, **LAYERS}
STAGES = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}

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


def example(reads_images: bool, batch: int, length: int) -> dict[str, torch.Tensor]:
    if reads_images:
        return {"pixel_values": torch.randn(batch, 3, 32, 32)}
    return {"input_ids": torch.randint(0, WORDS, (batch, length))}


def build(name: str) -> Any:
    config, sizes, _ = MODELS[name]
    torch.manual_seed(0)
    return getattr(transformers, name)(getattr(transformers, config)(**sizes)).eval()


def answer(model: Any, given: dict[str, Any]) -> dict[str, torch.Tensor] | None:
    """Eager's; None where there is none: some models read the last of no words."""
    try:
        return dict(model(**given))
    except (RuntimeError, IndexError):
        return None


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_a_model_equals_eager_with_torch_and_without(name, tmp_path):
    options, model = MODELS[name][2], build(name)
    reads_images = model.main_input_name == "pixel_values"
    given = example(reads_images, 2, 9)
    free = {k: {0: FREE} if reads_images else {0: FREE, 1: FREE} for k in given}
    free |= dict.fromkeys(options)
    path = tmp_path / "model.gint"
    export(model, (), {**given, **options}, dynamic_shapes=free, path=path)
    loaded = gint.load(path)
    for batch, length in ((2, 9), (1, 1), (3, 16), (0, 9), (2, 0)):
        given = example(reads_images, batch, length)
        wanted = answer(model, {**given, **options})
        if wanted is None:
            assert 0 in (batch, length)
            with suppress(ValueError, RuntimeError, IndexError):
                loaded(**given, **options)
            continue
        found = loaded(**given, **options)
        on_arrays = loaded(**{k: t.numpy() for k, t in given.items()}, **options)
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(
                torch.from_numpy(on_arrays[key]), value, rtol=1e-4, atol=1e-4
            )
