"""Rows of stored matrices as what products take: floats as they are stored, or blocks.

Knows formats and operands. Does not know which matrices there are, nor who keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from airllm.checkpoint import CheckpointError, StoredTensor
from airllm.checkpoint.tensors import FLOATS
from airllm.tensor_ops.arrays import Operand
from airllm.tensor_ops.steps import Part
from gint.quantized import QuantizedFormat, QuantizedWeights, format_of, quantize

from .matrices import Matrix

#: The format of matrices that stay as they are stored.
KEEP = "keep"
#: What a user may say: one format for all matrices, or patterns of their keys and formats; the
#: first that matches holds, and what none matches is kept.
Formats = str | Mapping[str, str]


def format_for(formats: Formats, matrix: Matrix) -> QuantizedFormat | None:
    """The format that a matrix is quantised to; None where it is kept. Raises ValueError."""
    pairs = {"*": formats} if isinstance(formats, str) else formats
    if not isinstance(pairs, Mapping):
        raise ValueError(
            "weights is the name of a format, such as 'q8_0', or a dict of patterns to such names, "
            f"not {formats!r}; '{KEEP}' keeps matrices as they are."
        )
    name = next((f for p, f in pairs.items() if fnmatchcase(matrix.key, p)), KEEP)
    if name == KEEP:
        return None
    found = format_of(name)
    for tensor in matrix.tensors:
        if tensor.kind not in FLOATS:
            raise ValueError(
                f"{tensor.file}: tensor {tensor.name!r} holds blocks, {tensor.kind}, already; "
                f"they are not quantised again. Pass weights='{KEEP}'."
            )
    if matrix.inputs % found.block:
        raise ValueError(
            f"{matrix.tensors[0].file}: tensor {matrix.tensors[0].name!r} has rows of "
            f"{matrix.inputs} values; {name} takes multiples of {found.block}."
        )
    return found


@dataclass(frozen=True)
class Piece:
    """Rows `first` to `stop` of a tensor, which make the outputs from `at` on of a product."""

    tensor: StoredTensor
    at: int
    first: int
    stop: int

    @property
    def nbytes(self) -> int:
        return (self.stop - self.first) * self.tensor.row_bytes

    def read(self) -> np.ndarray:
        """The rows, in memory of their own. Raises CheckpointError."""
        rows = self.tensor.read(self.first, self.stop)
        wanted = self.stop - self.first
        if len(rows) != wanted:
            raise CheckpointError(
                f"{self.tensor.file}: tensor {self.tensor.name!r} ends after row "
                f"{self.first + len(rows)}; rows up to {self.stop} are needed."
            )
        return rows

    def read_as(self, to: QuantizedFormat) -> np.ndarray:
        """The rows, which are floats, as the bytes of blocks, (rows, bytes of a row) uint8."""
        return quantize(Operand(self.read(), self.tensor.kind).float32(), to)


def pieces(matrix: Matrix, most: int | None = None) -> list[Piece]:
    """A matrix by its tensors, and those by rows of `most` bytes together, but at least one."""
    found, at = [], 0
    for tensor in matrix.tensors:
        rows = tensor.shape[0]
        step = rows if most is None else min(rows, max(1, most // tensor.row_bytes))
        for first in range(0, rows, step):
            stop = min(first + step, rows)
            found.append(Piece(tensor, at + first, first, stop))
        at += rows
    return found


def as_part(rows: np.ndarray, kind: str, inputs: int) -> Part:
    """Rows that hold `kind`, floats (rows, inputs) or blocks, as products take them."""
    if kind not in FLOATS:
        return QuantizedWeights(rows, (len(rows), inputs), format_of(kind))
    return Operand(rows, kind)
