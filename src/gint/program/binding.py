"""A Binding: the memory and the numbers of one launch.

Strides and offsets count elements, sizes count bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from gint.dataclass import frozen

#: A slot without its address: the storage's bytes, the first element's position in it, strides.
SlotLayout = tuple[int, int, tuple[int, ...]]


@frozen
class SlotBinding:
    """Where one slot lies.

    `pointer` and `storage_bytes` are the storage's own, not the tensor's claim; `offset` is the
    position of the first element in it, `strides` has one entry per axis of the slot (0 repeats).
    """

    pointer: int
    storage_bytes: int
    offset: int
    strides: tuple[int, ...]


@frozen
class Binding:
    """Extents for every axis, values for every parameter, memory for every slot, in their order."""

    extents: tuple[int, ...]
    params: tuple[int | float, ...]
    slots: tuple[SlotBinding, ...]

    @classmethod
    def of(
        cls,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
        pointers: Iterable[int],
    ) -> Binding:
        """What a kernel was prepared for, at these addresses."""
        bound = (SlotBinding(p, *layout) for p, layout in zip(pointers, slots, strict=True))
        return cls(extents, params, tuple(bound))

    @property
    def layouts(self) -> tuple[SlotLayout, ...]:
        """Everything of the slots but the pointers, as a kernel is prepared with it."""
        return tuple((s.storage_bytes, s.offset, s.strides) for s in self.slots)

    @property
    def pointers(self) -> tuple[int, ...]:
        """Where the storages of the slots lie."""
        return tuple(s.pointer for s in self.slots)
