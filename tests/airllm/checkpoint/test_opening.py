"""Which kind of checkpoint a path is."""

from __future__ import annotations

import pytest

pytest.importorskip("gguf")

from airllm.checkpoint import CheckpointError
from airllm.checkpoint.gguf_file import GGUFCheckpoint
from airllm.checkpoint.huggingface import HuggingFaceCheckpoint
from airllm.checkpoint.opening import open_checkpoint
from tests.airllm.checkpoints import model_of, write
from tests.airllm.gguf_files import write_gguf

pytestmark = pytest.mark.torch


def test_a_folder_and_a_file(tmp_path):
    folder = write(model_of("llama"), tmp_path / "folder")
    file = write_gguf(model_of("llama"), tmp_path / "model.gguf")
    assert isinstance(open_checkpoint(str(folder)), HuggingFaceCheckpoint)
    assert isinstance(open_checkpoint(file), GGUFCheckpoint)


def test_what_is_none(tmp_path):
    with pytest.raises(CheckpointError, match="none: there is no such file or folder"):
        open_checkpoint(tmp_path / "none")
    other = tmp_path / "model.bin"
    other.touch()
    with pytest.raises(CheckpointError, match="is no checkpoint: a folder with"):
        open_checkpoint(other)
    with pytest.raises(ValueError, match="must be 'config' or 'stored', not 'any'"):
        open_checkpoint(tmp_path, dtype="any")
