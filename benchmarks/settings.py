"""What a run was asked for. Read once, handed to every benchmark."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass

from gint.measuring.backends import NAMES, why_not

SUBJECT = "gint"


@dataclass(frozen=True)
class Settings:
    """The options of a run; `threads` is 0 for torch's own choice.

    `frozen` is for `models` and `small_graphs`. `ahead` is for `start`: a folder in which what is
    made ahead is kept; None for one that is removed. For `operators` alone are `only` (parts of
    names; `models`, `small_graphs`, `saved` and `decode` too), `types` and `shapes`, empty for all;
    `warm` to have Inductor compile only, `rows` for a file that keeps what was measured, `runs` of
    rows that are slow. For `sampled` are `draws` and their `seed`, how many operators are drawn
    `together`, `only` and `types` too.
    """

    backends: tuple[str, ...] = NAMES
    threads: int = 0
    quick: bool = False
    only: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    shapes: tuple[tuple[int, int], ...] = ()
    frozen: bool = False
    ahead: str | None = None
    warm: bool = False
    rows: str | None = None
    runs: int = 1
    draws: int = 300
    seed: int = 0
    together: int = 1

    def wants(self, name: str) -> bool:
        """Whether a row of this name was asked for."""
        return not self.only or any(part in name for part in self.only)

    def usable(self, among: Sequence[str] = NAMES) -> tuple[str, ...]:
        """Return the backends asked for, in the order of `among`, that can run here."""
        return tuple(b for b in among if b in self.backends and why_not(b) is None)

    def skipped(self) -> dict[str, str]:
        """Return why each backend asked for, and not usable, is left out."""
        return {b: reason for b in self.backends if (reason := why_not(b))}


def set_threads(threads: int) -> None:
    """Have torch, OpenMP and NumPy's BLAS use so many threads in this process."""
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)  # read when the library is loaded
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(threads)


def threads_in_effect() -> int:
    """The number of threads that torch and OpenMP use in this process."""
    if importlib.util.find_spec("torch") is None:
        return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    import torch

    return torch.get_num_threads()
