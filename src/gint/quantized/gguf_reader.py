"""The package gguf's reader of a file, without the texts of a vocabulary.

A model's file has some 100,000 tokens as texts, and more merges of them. gguf makes arrays of each,
which takes seconds and half a kilobyte a text, and nobody asks for them who only makes a model.

Knows files, by the package gguf, which it needs. Does not know models.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFValueType

_LENGTH = 8  # bytes of the number before each text


class Reader(GGUFReader):
    """As gguf's, but a field that is a list of texts has no contents, only a length, and a list of
    numbers is one array. Raises ValueError for a list that the file ends in."""

    def length_of(self, name: str) -> int | None:
        """How many values the list of that name has; None for a field that is missing or none."""
        field = self.fields.get(name)
        if field is None or field.types[0] != GGUFValueType.ARRAY:
            return None
        _, _, _, _, length, *_ = field.parts  # behind the name and two types
        return int(length[0])

    # Where gguf's reader has no such method, it reads everything, as if this one were not there.
    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list, list, list]:
        if raw_type != GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        kind, length = self._get(orig_offs, np.uint32), self._get(orig_offs + 4, np.uint64)
        begin, count = orig_offs + kind.nbytes + length.nbytes, int(length[0])
        values = GGUFValueType(int(kind[0]))
        if values == GGUFValueType.STRING:
            end = self._end_of_texts(begin, count)
            return end - orig_offs, [kind, length], [], [GGUFValueType.ARRAY, values]
        number: Any = self.gguf_scalar_to_np.get(values)
        if number is None:  # a list of lists
            return super()._get_field_parts(orig_offs, raw_type)
        held = self._get(begin, number, count)
        if len(held) < count:
            raise ValueError("it ends within a list of numbers")
        end = begin + held.nbytes
        return end - orig_offs, [kind, length, held], [2], [GGUFValueType.ARRAY, values]

    def _end_of_texts(self, at: int, count: int) -> int:
        held = memoryview(self.data)  # type: ignore[arg-type]
        order = ("little", "big")[(sys.byteorder == "big") != (self.byte_order == "S")]
        for _ in range(count):
            if at + _LENGTH > len(held):
                raise ValueError("it ends within a list of texts")
            at += _LENGTH + int.from_bytes(held[at : at + _LENGTH], order)  # type: ignore[arg-type]
        return at
