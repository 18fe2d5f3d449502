"""Weights that do not fit into memory: read from the checkpoint's files while the model computes.

A thread reads ahead, pass after pass, for as long as what is held stays within a number of bytes.
As much as half of that number is read once and stays. Knows stored matrices in their order. Does
not know formats, products.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from threading import Condition, Thread

import numpy as np

from airllm.tensor_ops.steps import Part

from .matrices import Matrix
from .parts import Piece, as_part, pieces
from .resident import prepared
from .weights import Progress

#: A piece takes this part of the budget at most, its values in float32 included.
_PIECES = 16


class Streamed:
    """See Weights. `budget` in bytes; raises ValueError for one in which nothing can be done."""

    is_recordable = False

    def __init__(self, matrices: Sequence[Matrix], budget: int, progress: Progress) -> None:
        most = budget // _PIECES
        _check_rows(matrices, budget)
        self._kept: dict[str, list[tuple[int, Part]]] = {}
        self._order: list[tuple[Matrix, Piece]] = []
        self.nbytes = total = sum(m.nbytes for m in matrices)
        kept = done = 0
        for matrix in matrices:
            cut = pieces(matrix, most // _widening(matrix))
            if kept + matrix.nbytes <= budget // 2:
                kept += matrix.nbytes
                self._kept[matrix.key] = [
                    (p.at, prepared(p.read(), p.tensor.kind, matrix)) for p in cut
                ]
            else:
                self._order += [(matrix, piece) for piece in cut]
            done += matrix.nbytes
            progress(done, total)
        self._first: dict[str, int] = {}
        for n, (matrix, _) in enumerate(self._order):
            self._first.setdefault(matrix.key, n)
        self._ahead = _Ahead([piece for _, piece in self._order], budget - kept - most)
        # The thread holds what it reads ahead, and not this.
        weakref.finalize(self, self._ahead.stop)

    def parts(self, key: str) -> Iterable[tuple[int, Part]]:
        return self._kept[key] if key in self._kept else self._read(key)

    def _read(self, key: str) -> Iterator[tuple[int, Part]]:
        for n in range(self._first[key], len(self._order)):
            matrix, piece = self._order[n]
            if matrix.key != key:
                return
            yield piece.at, as_part(self._ahead.take(n), piece.tensor.kind, matrix.inputs)
            self._ahead.release(piece)


def _widening(matrix: Matrix) -> int:
    """How many times its bytes a matrix may take: halves become float32 where many rows are
    multiplied."""
    return 2 if any(t.kind in ("f16", "bf16") for t in matrix.tensors) else 1


def _check_rows(matrices: Sequence[Matrix], budget: int) -> None:
    widest = max(t.row_bytes * _widening(m) for m in matrices for t in m.tensors)
    if widest > budget // _PIECES:
        raise ValueError(
            f"memory_budget is {budget} bytes; at least {widest * _PIECES} are needed, {_PIECES} "
            f"times the longest row."
        )


class _Ahead:
    """Pieces read by a thread, in order, over and over, up to `room` bytes not yet released."""

    def __init__(self, order: Sequence[Piece], room: int) -> None:
        self._order, self._room = order, room
        self._changed = Condition()
        self._read: deque[np.ndarray | BaseException] = deque()
        self._held = 0
        self._next = self._due = 0  # to be read; to be taken
        self._turn = 0  # counts how often reading began anew
        self._stopped = False
        self._thread: Thread | None = None

    def take(self, n: int) -> np.ndarray:
        """The rows of piece `n`. Raises what reading them raised."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="airllm reads ahead", daemon=True)
                self._thread.start()
            if n != self._due:  # the last pass was not finished
                self._begin_at(n)
            while not self._read:
                self._changed.wait()
            found = self._read.popleft()
            self._due = (n + 1) % len(self._order)
        if isinstance(found, BaseException):
            raise found
        return found

    def release(self, piece: Piece) -> None:
        """A piece that was taken is not used any more."""
        with self._changed:
            self._held -= piece.nbytes
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _begin_at(self, n: int) -> None:
        self._read.clear()
        self._next = self._due = n
        self._held, self._turn = 0, self._turn + 1
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and self._is_full():
                    self._changed.wait()
                if self._stopped:
                    return
                turn, piece = self._turn, self._order[self._next]
                self._held += piece.nbytes
                self._next = (self._next + 1) % len(self._order)
            rows = _rows_or_error(piece)
            with self._changed:
                if turn == self._turn:
                    self._read.append(rows)
                    self._changed.notify_all()
            del rows

    def _is_full(self) -> bool:
        return self._held + self._order[self._next].nbytes > self._room


def _rows_or_error(piece: Piece) -> np.ndarray | BaseException:
    """What it is that reading raises, whoever asks for the piece is told."""
    try:
        return piece.read()
    except BaseException as error:
        return error
