"""Damaged and forged files of saved functions as they are exported (saved_functions.py).

As plans.py, whose file is made by hand and has one operator. Each is called on NumPy arrays, on
the interpreters that reach them, and on torch tensors. A campaign exports once, and its children
read the files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .kinds import Kind
from .plans import Original, Plans

WIDTH = 32
#: The folder of the files that a campaign has exported.
_KEPT = "GINT_FUZZ_BUNDLES"


def rows_of(n: int) -> tuple[np.ndarray]:
    """What the functions are called with."""
    return (np.linspace(-3, 3, n * WIDTH, dtype=np.float32).reshape(n, WIDTH),)


@lru_cache(maxsize=1)
def _originals() -> dict[str, Original]:
    if kept := os.environ.get(_KEPT):
        return _read(Path(kept))
    with tempfile.TemporaryDirectory(prefix="gint-fuzz-") as name:
        _save(Path(name))
        return _read(Path(name))


def _save(folder: Path) -> None:
    from .saved_functions import save_all

    save_all(folder)


def _read(folder: Path) -> dict[str, Original]:
    return {
        path.stem: Original(path.read_bytes(), rows_of, _answers(path.with_suffix(".npz")))
        for path in sorted(folder.glob("*.gint"))
    }


def _answers(path: Path) -> Callable[[int], np.ndarray | None]:
    with np.load(path) as kept:
        found = dict(kept)
    return lambda n: found.get(str(n))


def _tensor(x: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(x)


class Bundles(Plans):
    calls = (*Plans.calls, ("torch", "cpp", _tensor))

    @property
    def originals(self) -> dict[str, Original]:  # type: ignore[override]
        return _originals()

    def prepare(self) -> None:
        """Export, for this process and those that it starts."""
        if _KEPT not in os.environ:
            self.kept = tempfile.TemporaryDirectory(prefix="gint-fuzz-")
            _save(Path(self.kept.name))
            os.environ[_KEPT] = self.kept.name


KIND: Kind = Bundles()
