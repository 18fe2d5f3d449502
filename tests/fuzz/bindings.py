"""Bindings as cases have them, and random changes to them.

A case's binding names storages by number, so that it can be written down. Storages are never
claimed larger than they are: nobody can find that out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from gint.program import Program
from tests.generation import Launch
from tests.memory import strided

FAR = (-(2**63), -(2**31), -9, -1, 0, 1, 2, 3, 31, 2**31, 2**62, 2**63 - 1, 2**63)
EXTENTS = (-1, 0, 1, 2, 3, 4, 7, 9, 13, 31, 41, 97, 2**31, 2**40, 2**48, 2**62, 2**63)
PARAMS = (0, -1, 7, 2**63 - 1, -(2**63), 2**63, 0.0, -0.0, 1.5, float("nan"), float("inf"), -1e300)
#: Storages of generated launches are no larger.
MOST_BYTES = 1 << 14


@dataclass(frozen=True)
class SlotCase:
    """Where a slot lies: `shift` bytes from the start of a storage, and as SlotBinding has it."""

    storage: int
    shift: int
    storage_bytes: int
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class StorageCase:
    """`at_end`: the byte behind the last one is unreadable; else the one before the first is."""

    size: int
    at_end: bool


@dataclass(frozen=True)
class BindingCase:
    extents: tuple[int, ...]
    params: tuple[int | float, ...]
    storages: tuple[StorageCase, ...]
    slots: tuple[SlotCase, ...]


def binding_of(random: Random, p: Program, launch: Launch) -> BindingCase | None:
    """The binding of a launch, a storage for each slot; None where one would be large."""
    storages, slots = [], []
    for n, (slot, layout) in enumerate(zip(p.slots, launch.layouts, strict=True)):
        shape = tuple(launch.extents[a] for a in slot.axes)
        strides, first, count = strided(shape, layout)
        size = count * slot.dtype.itemsize
        if size > MOST_BYTES:
            return None
        storages.append(StorageCase(size, random.randrange(2) == 1))
        slots.append(SlotCase(n, 0, size, first, strides))
    return BindingCase(launch.extents, launch.params, tuple(storages), tuple(slots))


def mutated(random: Random, b: BindingCase) -> BindingCase:
    """One number of the binding changed, or a slot put where another is."""
    how = random.randrange(8)
    if how == 0 and b.extents:
        return replace(b, extents=_with(b.extents, random, random.choice(EXTENTS)))
    if how == 1 and b.params:
        return replace(b, params=_with(b.params, random, random.choice(PARAMS)))
    if not b.slots:
        return b
    at = random.randrange(len(b.slots))
    slot = b.slots[at]
    if how == 2:
        slot = replace(slot, offset=_far(random, slot.offset))
    elif how in (0, 3) and slot.strides:
        changed = _far(random, random.choice(slot.strides))
        slot = replace(slot, strides=_with(slot.strides, random, changed))
    elif how == 4:
        slot = replace(slot, storage_bytes=random.randint(-1, slot.storage_bytes))
    elif how == 5:
        step = random.randint(0, max(slot.storage_bytes, 0))
        slot = replace(slot, shift=slot.shift + step, storage_bytes=slot.storage_bytes - step)
    elif how == 6:
        slot = random.choice(b.slots)
    else:
        other = random.choice(b.slots)
        slot = replace(slot, storage=other.storage, shift=other.shift,
                       storage_bytes=other.storage_bytes)  # fmt: skip
    return replace(b, slots=(*b.slots[:at], slot, *b.slots[at + 1 :]))


def _far(random: Random, now: int) -> int:
    return random.choice((random.choice(FAR), random.randint(-20, 60), -now, now + 1, now - 1))


def _with(entries: tuple, random: Random, new: int | float) -> tuple:
    at = random.randrange(len(entries))
    return (*entries[:at], new, *entries[at + 1 :])
