"""Tensors of a file that are read by rows, from several threads.

Knows bytes and the types of elements. Does not know formats of files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from gint.quantized import FORMATS

from .tensors import FLOATS, CheckpointError

#: NumPy has no bfloat16: it is its bits.
_DTYPES: dict[str, np.dtype] = {
    "f32": np.dtype("<f4"),
    "f16": np.dtype("<f2"),
    "bf16": np.dtype("<u2"),
}
_ROW_BYTES = {f.name: f.row_bytes for f in FORMATS}


class OpenFile:
    """A file, open for as long as somebody holds this."""

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, Lock()
        self._file = path.open("rb", buffering=0)
        self.size = path.stat().st_size

    def fill(self, memory: memoryview, offset: int) -> int:
        """Read the bytes from `offset` on. How many are missing since the file ends. OSError."""
        while memory and (count := self._read(memory, offset)):
            memory, offset = memory[count:], offset + count
        return len(memory)

    def _read(self, memory: memoryview, offset: int) -> int:
        # Where one stands in a file is shared with processes made by fork, which read it too.
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [memory], offset)
        with self._lock:  # Windows, which has no fork
            self._file.seek(offset)
            return self._file.readinto(memory)


@dataclass(frozen=True)
class FileTensor:
    """See StoredTensor. `offset` is where its first byte lies in the file."""

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int
    opened: OpenFile

    @property
    def file(self) -> Path:
        return self.opened.path

    @cached_property
    def row_bytes(self) -> int:
        """Raises CheckpointError for a type that is not read."""
        inputs = self.shape[-1] if len(self.shape) > 1 else 1
        if self.kind in FLOATS:
            return inputs * _DTYPES[self.kind].itemsize
        if self.kind not in _ROW_BYTES:
            known = ", ".join((*FLOATS, *_ROW_BYTES))
            raise CheckpointError(
                f"{self.file}: tensor {self.name!r} holds {self.kind}; {known} are read."
            )
        return _ROW_BYTES[self.kind](inputs)

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self.row_bytes

    def read(self, first: int, stop: int) -> np.ndarray:
        """See StoredTensor. Python's lock is given up while it lasts."""
        rows = np.empty((stop - first, self.row_bytes), np.uint8)
        try:
            offset = self.offset + first * self.row_bytes
            missing = self.opened.fill(rows.data.cast("B"), offset) if rows.size else 0
        except OSError as error:
            raise CheckpointError(
                f"{self.file}: tensor {self.name!r} cannot be read: {error.strerror}."
            ) from error
        if missing:
            raise CheckpointError(
                f"{self.file} ends within tensor {self.name!r}, {missing} bytes too early."
            )
        if self.kind not in FLOATS:
            return rows
        values = rows.view(_DTYPES[self.kind])
        return values if len(self.shape) > 1 else values[:, 0]


def check_end(tensors: list[FileTensor]) -> None:
    """Raises CheckpointError for a file that ends before its tensors do."""
    for tensor in sorted(tensors, key=lambda t: t.offset):
        missing = tensor.offset + tensor.nbytes - tensor.opened.size
        if missing > 0:
            raise CheckpointError(
                f"{tensor.file} is broken: it ends within tensor {tensor.name!r}, {missing} bytes "
                f"too early."
            )
