"""Tiny checkpoints with random weights, as transformers writes them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")

_SIZES = {
    "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 211, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "initializer_range": 0.2,
}  # fmt: skip
_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip

#: Name -> transformers' class of configurations, and what is not as in _SIZES.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "llama biases, tied, stretched": (
        "LlamaConfig",
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
         "rope_parameters": _LLAMA3},
    ),
    "llama linear": (
        "LlamaConfig",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}},
    ),
    "mistral": ("MistralConfig", {}),
    "mistral window": ("MistralConfig", {"sliding_window": 5}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", {"head_dim": 24}),
    "gemma": ("GemmaConfig", {"head_dim": 32}),
    "phi3": (
        "Phi3Config",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4,
                             "partial_rotary_factor": 0.5}},
    ),
}  # fmt: skip


@cache
def model_of(case: str, **changes: Any) -> Any:
    """A transformers model, its vectors random too, in float32."""
    name, own = CASES[case]
    torch.manual_seed(len(case))
    config = getattr(transformers, name)(**{**_SIZES, **own, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data.uniform_(0.5, 1.5)
    return model.eval()


def write(model: Any, folder: Path, **options: Any) -> Path:
    """The model as a checkpoint in a folder."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder, **options)
    return folder


def tokens(count: int, vocabulary: int = 211) -> np.ndarray:
    return np.random.default_rng(count).integers(3, vocabulary, count)


def logits_of(model: Any, ids: np.ndarray) -> np.ndarray:
    """transformers' logits after each token, (rows, vocabulary)."""
    with torch.no_grad():
        return model(torch.tensor(ids)[None]).logits[0].float().numpy()
