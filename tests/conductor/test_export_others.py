"""Models that no benchmark has, saved with free sizes, equal eager on tensors and on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import gint
from gint.conductor import export

pytestmark = [pytest.mark.torch, pytest.mark.cpp]

FREE = torch.export.Dim.DYNAMIC
WORDS = 100
LAYERS = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "vocab_size": WORDS,
}  # fmt: skip


def words(batch: int, length: int) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.randint(1, WORDS, (batch, length))}


def images(batch: int, length: int) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(batch, 3, 64, 64)}


def mistral() -> Any:
    """With windows shorter than the inputs."""
    config = transformers.MistralConfig(
        **LAYERS, num_key_value_heads=1, sliding_window=6, head_dim=16
    )
    return transformers.MistralForCausalLM(config)


def deberta() -> Any:
    """Attention that looks up how far apart positions are."""
    config = transformers.DebertaV2Config(
        **LAYERS, relative_attention=True, pos_att_type=["p2c", "c2p"], max_position_embeddings=32,
        position_buckets=8,
    )  # fmt: skip
    return transformers.DebertaV2Model(config)


def segformer() -> Any:
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], decoder_hidden_size=16
    )
    return transformers.SegformerForSemanticSegmentation(config)


MODELS = {
    mistral: (words, {"use_cache": False}), deberta: (words, {}), segformer: (images, {}),
}  # fmt: skip


@pytest.mark.parametrize("build", MODELS)
def test_what_was_saved_with_free_sizes_equals_eager(build, tmp_path):
    torch.manual_seed(0)
    model, (example, options) = build().eval(), MODELS[build]
    given = example(2, 9)
    free = {k: {0: FREE, 1: FREE} if x.dim() == 2 else {0: FREE} for k, x in given.items()}
    free |= dict.fromkeys(options)
    with torch.no_grad():
        (path, *_) = export(
            model, (), given | options, dynamic_shapes=free, path=tmp_path / "model.gint"
        )
        for sizes in ((2, 9), (1, 1), (3, 16)):
            given = example(*sizes)
            wanted = next(iter(model(**given, **options).values())).numpy()
            arrays = {k: x.numpy() for k, x in given.items()}
            for backend, inputs in ((None, given), ("cpp", arrays), ("python", arrays)):
                found = gint.load(path, backend=backend)(**inputs, **options)
                found = np.asarray(next(iter(found.values())))
                np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
