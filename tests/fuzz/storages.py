"""Storages of one case after the other, between pages nobody may touch, with fresh values each."""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np

from gint.isa import DTYPES, DType
from gint.program import Binding, Program, SlotBinding
from tests.fences import Fence
from tests.memory import PATTERN, values

from .bindings import MOST_BYTES, BindingCase

#: Values of a type that storages are filled from.
_POOL = 1 << 12


class Storages:
    def __init__(self) -> None:
        self._fences: list[Fence] = []
        self._used: list[memoryview] = []
        self._before: list[bytes] = []

    def bind(self, p: Program, b: BindingCase, seed: int) -> Binding:
        """The binding, over fresh values between guard bytes."""
        while len(self._fences) < len(b.storages):
            self._fences.append(Fence(MOST_BYTES))
        fences = self._fences[: len(b.storages)]
        addresses = []
        types = {s.storage: slot.dtype for s, slot in zip(b.slots, p.slots, strict=False)}
        random = Random(seed)
        for n, (fence, storage) in enumerate(zip(fences, b.storages, strict=True)):
            start = fence.place(storage.size, storage.at_end)
            fence.bytes.fill(PATTERN)
            pool = _pool(types.get(n, DTYPES[0]))
            first = random.randrange(0, pool.size - MOST_BYTES + 1, 8)
            fence.bytes[start : start + storage.size] = pool[first : first + storage.size]
            addresses.append(fence.address + start)
        self._used = [fence.bytes.data for fence in fences]
        self._before = self.now()
        bound = [
            SlotBinding(addresses[s.storage] + s.shift, s.storage_bytes, s.offset, s.strides)
            for s in b.slots
        ]
        return Binding(b.extents, b.params, tuple(bound))

    def now(self) -> list[bytes]:
        """What lies in the storages and around them."""
        return [there.tobytes() for there in self._used]

    def put(self, found: list[bytes]) -> None:
        for there, before in zip(self._used, found, strict=True):
            there[:] = before

    def restore(self) -> None:
        """What lay there before the case ran."""
        self.put(self._before)


@cache
def _pool(t: DType) -> np.ndarray:
    """Bytes of elements of a type; any byte may be a bool."""
    random = np.random.default_rng(t.code)
    count = (MOST_BYTES + _POOL) // t.itemsize
    if t.name == "bool":
        return np.where(random.random(count) < 0.2, random.integers(0, 256, count), 1).astype("u1")
    return values(t, (count,), random).view(np.uint8)
