"""The error flag of a launch: what its bits mean, and the exception each becomes."""

from __future__ import annotations

from gint.isa.errors import DIVISION_BY_ZERO, INDEX_OUT_OF_RANGE


class PositionError(IndexError, RuntimeError):
    """An index out of range: eager raises the one in most operators, the other in `gather`."""


def raise_for(flag: int) -> None:
    """Raise what eager torch raises for the same operation; nothing for 0."""
    if flag & DIVISION_BY_ZERO:
        raise RuntimeError("ZeroDivisionError")
    if flag & INDEX_OUT_OF_RANGE:
        raise PositionError("index out of range in self")
