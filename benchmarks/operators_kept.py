"""Rows of the operators that are kept in a file: one is appended as soon as it is measured.

What is stopped goes on where it was. A row below the goal is measured in as many runs as were asked
for, and its medians are over them. Knows rows and JSON lines. Does not know how a row is measured.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmarks.operators_report import NUMPY, Row

Key = tuple[str, tuple[int, int], int]


class Kept:
    """Rows by name, shape and number of threads; in a file too, where there is a `path`.

    Raises SystemExit for a file that is not one of rows, or cannot be read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._rows: dict[Key, Row] = {}
        if path is not None:
            for number, line in enumerate(self._lines(path), 1):
                try:
                    self._take(_read(json.loads(line)))
                except (ValueError, KeyError, TypeError):
                    raise SystemExit(
                        f"{path}, line {number}: not a row of the operators. --rows takes a file "
                        "that is not there yet, or one that it wrote."
                    ) from None

    def _lines(self, path: Path) -> list[str]:
        """The lines there are, and whether more can be appended."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+", encoding="utf-8") as file:
                file.seek(0)
                return file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "not text"
            raise SystemExit(f"{path}: {said}. Choose another with --rows.") from None

    def row(self, name: str, shape: tuple[int, int], threads: int) -> Row | None:
        """What is known of a row, of all its runs."""
        return self._rows.get((name, shape, threads))

    def has(
        self, name: str, shape: tuple[int, int], threads: int, contenders: Collection[str]
    ) -> bool:
        """Whether the row was measured, each of the contenders in it; or failed."""
        row = self.row(name, shape, threads)
        if row is None:
            return False
        measured = {contender for run in row.runs for contender in run}
        return bool(row.error) or NUMPY in measured or measured >= set(contenders)

    def wants(
        self,
        name: str,
        shape: tuple[int, int],
        threads: int,
        contenders: Collection[str],
        turn: int,
    ) -> bool:
        """Whether the row is to be measured in this turn: at first each, later those below."""
        row = self.row(name, shape, threads)
        if row is None or not self.has(name, shape, threads, contenders):
            return True
        return not row.error and len(row.runs) <= turn and row.is_slow

    def add(self, row: Row) -> None:
        """Keep a run of a row, in the file too before it returns."""
        self._take(row)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_written(row)) + "\n")

    def _take(self, row: Row) -> None:
        """Put its runs behind those of the row that is there."""
        key = row.name, row.shape, row.threads
        known = self._rows.get(key)
        if known is not None and not row.error:
            row.runs = [*known.runs, *row.runs]
        self._rows[key] = row


def _written(row: Row) -> dict[str, Any]:
    """A line of the file: a row with the run that was last."""
    return {
        "name": row.name, "group": row.group, "shape": row.shape, "threads": row.threads,
        "text": row.text, "made": row.made, "error": row.error, "runs": row.runs[-1:],
    }  # fmt: skip


def _read(line: dict[str, Any]) -> Row:
    rows, cols = line["shape"]
    return Row(**{**line, "shape": (rows, cols)})
