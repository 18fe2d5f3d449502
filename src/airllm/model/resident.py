"""Weights that are all in memory, in the layout that the active backend multiplies fastest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from airllm.checkpoint import Checkpoint
from airllm.tensor_ops.backend import active
from airllm.tensor_ops.steps import Part, is_recordable
from gint.host.selection import products_for
from gint.quantized import QuantizedWeights

from .matrices import Matrix, matrices
from .parts import Formats, as_part, format_for, pieces
from .weights import Progress


class Resident:
    """See Weights."""

    def __init__(self, checkpoint: Checkpoint, formats: Formats, progress: Progress) -> None:
        wanted = list(matrices(checkpoint))
        total = sum(t.shape[0] * t.row_bytes for m in wanted for t in m.tensors)
        done = 0
        self._parts: dict[str, list[tuple[int, Part]]] = {}
        for matrix in wanted:
            self._parts[matrix.key] = list(_parts(matrix, formats))
            done += sum(t.shape[0] * t.row_bytes for t in matrix.tensors)
            progress(done, total)

        found = (part for parts in self._parts.values() for _, part in parts)
        self.is_recordable = all(map(is_recordable, found))

    def parts(self, key: str) -> Iterable[tuple[int, Part]]:
        return self._parts[key]


def _parts(matrix: Matrix, formats: Formats) -> Iterator[tuple[int, Part]]:
    """Tensors of one kind as one part."""
    to = format_for(formats, matrix)
    for kind, group in groupby(pieces(matrix), key=lambda piece: piece.tensor.kind):
        neighbours = list(group)
        rows = [piece.read() for piece in neighbours]
        together = rows[0] if len(rows) == 1 else np.concatenate(rows)
        del rows
        part = as_part(together, kind, matrix.inputs, to)
        if isinstance(part, QuantizedWeights):
            part = products_for(active()).prepare(part)
        yield neighbours[0].at, part
