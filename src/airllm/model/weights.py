"""Where a model's matrices come from while it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from airllm.tensor_ops.steps import Part

#: progress(done, total) in bytes of the checkpoint
Progress = Callable[[int, int], None]


class Weights(Protocol):
    """A model's matrices, by key (matrices.py)."""

    def parts(self, key: str) -> Iterable[tuple[int, Part]]:
        """A matrix, part by part: the output each begins at, and its rows.

        A part is used before the next one is asked for. Matrices that are read while the model
        computes are asked for in order, one pass after the other.
        """

    @property
    def nbytes(self) -> int:
        """The bytes of all matrices, as they are held or read."""

    @property
    def is_recordable(self) -> bool:
        """Whether parts are the same objects each time, and their products with one row native."""
