"""What a run was asked for. Read once, handed to every benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gint.demo.backends import NAMES, why_not

SUBJECT = "gint"


@dataclass(frozen=True)
class Settings:
    """The options of a run; `threads` is 0 for torch's own choice."""

    backends: tuple[str, ...] = NAMES
    threads: int = 0
    quick: bool = False

    def usable(self, among: Sequence[str] = NAMES) -> tuple[str, ...]:
        """Return the backends asked for, in the order of `among`, that can run here."""
        return tuple(b for b in among if b in self.backends and why_not(b) is None)

    def skipped(self) -> dict[str, str]:
        """Return why each backend asked for, and not usable, is left out."""
        return {b: reason for b in self.backends if (reason := why_not(b))}
