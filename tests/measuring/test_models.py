"""What is compiled: names, and the specification's example."""

from __future__ import annotations

import pytest

from gint.measuring.models import BY_NAME, EIGHT, MODELS


def test_models_have_names_of_their_own() -> None:
    assert [m.name for m in MODELS] == ["llama", "bert", "gpt2", "vit"]
    assert list(BY_NAME) == ["example", *(m.name for m in EIGHT)]


def test_eight_models_run_without_torch() -> None:
    assert EIGHT[:4] == MODELS
    assert [m.name for m in EIGHT[4:]] == ["qwen3", "t5", "convnext", "resnet"]


@pytest.mark.torch
def test_the_example_is_the_specifications() -> None:
    torch = pytest.importorskip("torch")
    built = BY_NAME["example"].build("cpu")
    x, y = built.args
    assert x.shape == y.shape == (1024,)
    assert torch.equal(built.call(built.function), x + y * 2)
