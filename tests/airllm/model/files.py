"""Tensors in real files, made of arrays, for tests that need no whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from airllm.checkpoint.files import FileTensor, OpenFile
from gint.quantized import format_of, quantize


def tensor_of(values: np.ndarray, path: Path, kind: str = "f32") -> FileTensor:
    """The array as a tensor in a file of its own; `kind` is "f32", "f16" or a block format."""
    stored = {"f32": np.float32, "f16": np.float16}.get(kind)
    data = values.astype(stored) if stored else quantize(values, format_of(kind))
    path.write_bytes(b"head" + data.tobytes())
    return FileTensor(path.stem, values.shape, kind, 4, OpenFile(path))
