"""Weights that are all in memory, in the layout that the active backend multiplies fastest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from airllm.tensor_ops.backend import active
from airllm.tensor_ops.steps import Part, is_recordable, part_bytes
from gint.host import memory
from gint.host.selection import products_for
from gint.quantized import QuantizedFormat, QuantizedWeights

from .matrices import Matrix
from .parts import Piece, as_part, pieces
from .weights import Progress


class Resident:
    """See Weights. Matrices that `formats` names by key are quantised on the way."""

    def __init__(
        self, matrices: Sequence[Matrix], formats: Mapping[str, QuantizedFormat], progress: Progress
    ) -> None:
        total, done = sum(m.nbytes for m in matrices), 0
        self._parts: dict[str, list[tuple[int, Part]]] = {}
        for matrix in matrices:
            self._parts[matrix.key] = list(_parts(matrix, formats.get(matrix.key)))
            done += matrix.nbytes
            progress(done, total)
        found = [part for parts in self._parts.values() for _, part in parts]
        self.is_recordable = all(map(is_recordable, found))
        self.nbytes = sum(map(part_bytes, found))
        memory.trim()  # the rows that were read have been packed, and are needed no longer

    def parts(self, key: str) -> Iterable[tuple[int, Part]]:
        return self._parts[key]


def _parts(matrix: Matrix, to: QuantizedFormat | None) -> Iterator[tuple[int, Part]]:
    """Tensors of one kind as one part."""
    for kind, group in groupby(pieces(matrix), key=lambda piece: piece.tensor.kind):
        neighbours = list(group)
        yield neighbours[0].at, prepared(_together(neighbours, to), to.name if to else kind, matrix)


def _together(neighbours: list[Piece], to: QuantizedFormat | None) -> np.ndarray:
    rows = [piece.read() if to is None else piece.read_as(to) for piece in neighbours]
    return rows[0] if len(rows) == 1 else np.concatenate(rows)


def prepared(rows: np.ndarray, kind: str, matrix: Matrix) -> Part:
    """Rows that hold `kind` as a part that stays in memory."""
    part = as_part(rows, kind, matrix.inputs)
    return products_for(active()).prepare(part) if isinstance(part, QuantizedWeights) else part
