"""The kinds of sections of a program (gint.program.model says what each is)."""

from __future__ import annotations

from enum import Enum


class SectionKind(Enum):
    """A kind's value is its word in the text form, `code` its number in native ones.

    `scatter` is reserved: the file form knows it, the verifier refuses it.
    """

    MAP = "map"
    REDUCE = "reduce"
    SCALAR = "scalar"
    SCATTER = "scatter"

    @property
    def code(self) -> int:
        return _CODES[self]


_CODES = {kind: code for code, kind in enumerate(SectionKind)}
