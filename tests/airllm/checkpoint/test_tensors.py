"""The roles of tensors: their shapes and names against what transformers and gguf know."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

gguf = pytest.importorskip("gguf")

from airllm.checkpoint import CheckpointError
from airllm.checkpoint.opening import open_checkpoint
from airllm.checkpoint.tensors import (
    LAYER_ROLES,
    MODEL_ROLES,
    check_tensor,
    shapes,
    stored_name,
)
from tests.airllm.checkpoints import CASES, model_of, write

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("case", CASES)
def test_a_models_tensors_are_those_that_transformers_has(case, tmp_path):
    model = model_of(case)
    a = open_checkpoint(write(model, tmp_path)).architecture
    found = {stored_name(role, 0): shape for role, shape in shapes(a).items()}
    theirs = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert found == theirs


def test_names_in_gguf_files_are_those_of_the_package():
    """Of the llama architecture, and of those that have what it lacks."""
    known = {
        f"{name}.weight" for name in gguf.TENSOR_NAMES.values()
    } | {f"{name}.bias" for name in gguf.TENSOR_NAMES.values()}  # fmt: skip
    for role in MODEL_ROLES:
        assert stored_name(role, 1) in known
    for role in LAYER_ROLES:
        assert stored_name(f"7.{role}", 1).replace("blk.7.", "blk.{bid}.") in known


def test_a_tensor_of_another_shape_is_named():
    tensor = SimpleNamespace(file="there", name="x.weight", shape=(2, 3))
    check_tensor(tensor, (2, 3), "config.json")
    with pytest.raises(CheckpointError, match=r"there: tensor 'x.weight' .* \(2, 3\); config.json"):
        check_tensor(tensor, (3, 2), "config.json")
