"""A Binding: the memory and the numbers of one launch.

Strides and offsets count elements, sizes count bytes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SlotBinding:
    """Where one slot lies.

    `pointer` and `storage_bytes` are the storage's own, not the tensor's claim; `offset` is the
    position of the first element in it, `strides` has one entry per axis of the slot (0 repeats).
    """

    pointer: int
    storage_bytes: int
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Binding:
    """Extents for every axis, values for every parameter, memory for every slot, in their order."""

    extents: tuple[int, ...]
    params: tuple[int | float, ...]
    slots: tuple[SlotBinding, ...]
