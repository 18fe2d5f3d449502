"""What kind of checkpoint lies at a path."""

from __future__ import annotations

from pathlib import Path

from .tensors import Checkpoint, CheckpointError


def open_checkpoint(path: str | Path, *, dtype: str = "config") -> Checkpoint:
    """The checkpoint at `path`: a folder with config.json and safetensors shards, or a GGUF file.

    dtype  "config": matrices must have the type that a config.json says; "stored": they may have
           any

    Its headers are read and every tensor's name, shape and type is checked; no tensor is read.
    Raises CheckpointError, which names the file and the tensor.
    """
    if dtype not in ("config", "stored"):
        raise ValueError(f"dtype must be 'config' or 'stored', not {dtype!r}.")
    path = Path(path).expanduser()
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such file or folder.")
    if path.is_dir():
        from .huggingface import HuggingFaceCheckpoint

        return HuggingFaceCheckpoint(path, dtype)
    if path.suffix != ".gguf":
        raise CheckpointError(
            f"{path} is no checkpoint: a folder with config.json and *.safetensors is, or a file "
            f"*.gguf."
        )
    from .gguf_file import GGUFCheckpoint

    return GGUFCheckpoint(path)
