"""Rows of stored matrices as what products take: floats as they are stored, or blocks.

Knows formats and operands. Does not know which matrices there are, nor who keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airllm.checkpoint import CheckpointError, StoredTensor
from airllm.checkpoint.tensors import FLOATS
from airllm.tensor_ops.arrays import Operand
from airllm.tensor_ops.steps import Part
from gint.quantized import (
    KEEP,
    QuantizedFormat,
    QuantizedWeights,
    WeightFormats,
    format_of,
    quantize,
)

from .matrices import Matrix


def format_for(formats: WeightFormats, matrix: Matrix) -> QuantizedFormat | None:
    """The format that a matrix is quantised to, by its key; None where it is kept. Raises
    ValueError for one that does not suit it."""
    found = formats.format_for(matrix.key)
    if found is None:
        return None
    for tensor in matrix.tensors:
        if tensor.kind not in FLOATS:
            raise ValueError(
                f"{tensor.file}: tensor {tensor.name!r} holds blocks, {tensor.kind}, already; "
                f"they are not quantised again. Pass weights='{KEEP}'."
            )
    if matrix.inputs % found.block:
        raise ValueError(
            f"{matrix.tensors[0].file}: tensor {matrix.tensors[0].name!r} has rows of "
            f"{matrix.inputs} values; {found.name} takes multiples of {found.block}."
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
