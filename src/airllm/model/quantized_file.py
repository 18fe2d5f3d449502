"""Matrices quantised once, and kept in a GGUF file of the cache directory.

The file is named after the checkpoint, its files' sizes and times, and the formats asked for. It is
written whole, a few rows at a time: each few are a tensor, "3.qkv.512" those from row 512 on.

Knows stored matrices and formats. Does not know products.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs

from airllm.checkpoint import Checkpoint, CheckpointError
from airllm.checkpoint.gguf_file import GGUFFile
from gint.program.whole import writing_whole
from gint.quantized import QuantizedFormat

from .matrices import Matrix
from .parts import Piece, pieces
from .weights import Progress

#: Changes when files written before must not be read any more.
_VERSION = 1
#: Bytes of a checkpoint that are quantised at a time, at most.
_STEP_BYTES = 16 << 20


def default_directory() -> Path:
    """Where quantised matrices are kept unless the caller says."""
    return Path(platformdirs.user_cache_dir("airllm"))


def quantized_matrices(
    checkpoint: Checkpoint, matrices: list[Matrix], formats: Mapping[str, QuantizedFormat],
    directory: Path, progress: Progress, step_bytes: int | None = None,
) -> list[Matrix]:  # fmt: skip
    """The matrices, those that `formats` names by key as they lie in the cache directory's file.

    It is written where it is not there or not sound. Raises OSError, CheckpointError.
    """
    if not formats:
        return matrices
    path = directory / f"{checkpoint.path.stem}-{_digest(checkpoint, formats)}.gguf"
    wanted = [m for m in matrices if m.key in formats]
    try:
        found = GGUFFile(path)
    except (CheckpointError, FileNotFoundError):
        directory.mkdir(parents=True, exist_ok=True)
        _write(path, wanted, formats, progress, min(step_bytes or _STEP_BYTES, _STEP_BYTES))
        found = GGUFFile(path)
    rows: dict[str, list] = {}
    for tensor in found.tensors.values():  # in the order in which they were written
        rows.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
    return [replace(m, tensors=tuple(rows.get(m.key, m.tensors))) for m in matrices]


def _digest(checkpoint: Checkpoint, formats: Mapping[str, QuantizedFormat]) -> str:
    said = {key: f.name for key, f in formats.items()}
    text = json.dumps([_VERSION, checkpoint.fingerprint, said], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _steps(matrices: list[Matrix], most: int) -> Iterator[tuple[Matrix, Piece]]:
    for matrix in matrices:
        for piece in pieces(matrix, most):
            yield matrix, piece


def _write(
    path: Path, matrices: list[Matrix], formats: Mapping[str, QuantizedFormat],
    progress: Progress, step_bytes: int,
) -> None:  # fmt: skip
    import gguf

    total, done = sum(m.nbytes for m in matrices), 0
    with writing_whole(path) as unfinished:
        writer = gguf.GGUFWriter(unfinished, "airllm")
        for matrix, piece in _steps(matrices, step_bytes):
            to = formats[matrix.key]
            shape = (piece.stop - piece.first, to.row_bytes(matrix.inputs))
            kind = gguf.GGMLQuantizationType[to.gguf_name]
            name = f"{matrix.key}.{piece.at}"
            writer.add_tensor_info(name, shape, np.dtype(np.uint8), shape[0] * shape[1], kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        try:
            for matrix, piece in _steps(matrices, step_bytes):
                writer.write_tensor_data(piece.read_as(formats[matrix.key]))
                done += piece.nbytes
                progress(done, total)
        finally:
            writer.close()
