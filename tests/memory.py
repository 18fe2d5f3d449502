"""Memory for tests: storages between guard bytes, and slots laid out in them in odd ways.

Storages are the host's. For a backend with memory of its own, `load` gives a kernel that carries
them there with their guard bytes, launches, and carries them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np

from gint.backend import registry
from gint.backend.protocol import BoundLaunch, Kernel, Memory
from gint.isa import DType
from gint.program import Binding, Program, SlotBinding, VerifiedProgram
from gint.program.regions import span

GUARD = 64
PATTERN = 0xA5


class Storage:
    """`size` bytes, aligned to 64, with guard bytes on both sides that nobody may touch."""

    alive: ClassVar[WeakSet[Storage]] = WeakSet()

    def __init__(self, size: int) -> None:
        self.alive.add(self)
        self.size = size
        self.raw = np.full(size + 2 * GUARD + 64, PATTERN, np.uint8)
        self.start = GUARD + -(self.raw.ctypes.data + GUARD) % 64
        self.pointer = self.raw.ctypes.data + self.start

    @property
    def bytes(self) -> np.ndarray:
        return self.raw[self.start : self.start + self.size]

    @property
    def guarded(self) -> np.ndarray:
        """The bytes with their guards; as well aligned."""
        return self.raw[self.start - GUARD : self.start + self.size + GUARD]

    def is_intact(self) -> bool:
        end = self.start + self.size
        return bool(np.all(self.raw[: self.start] == PATTERN) and np.all(self.raw[end:] == PATTERN))


@dataclass(frozen=True)
class Layout:
    """How a slot lies in its storage.

    `order` is the axes from slowest to fastest, `gap` the distance of neighbours along the fastest,
    `flipped` the axes with negative strides, `repeated` those with stride 0, `lead` the elements
    before the first.
    """

    order: tuple[int, ...]
    gap: int = 1
    flipped: frozenset[int] = frozenset()
    repeated: frozenset[int] = frozenset()
    lead: int = 0


@dataclass(frozen=True)
class Placed:
    """A slot in memory: its binding, and its elements seen as an array."""

    storage: Storage
    binding: SlotBinding
    array: np.ndarray

    def padding(self) -> bytes:
        """The bytes of the storage that are not the slot's."""
        unused = np.ones(self.storage.size, bool)
        if self.array.size:
            size = self.array.itemsize
            first = unused[self.binding.offset * size :]
            shape, strides = (*self.array.shape, size), (*self.array.strides, 1)
            np.lib.stride_tricks.as_strided(first, shape, strides)[...] = False
        return self.storage.bytes[unused].tobytes()


def contiguous(rank: int) -> Layout:
    return Layout(tuple(range(rank)))


def strided(shape: tuple[int, ...], layout: Layout) -> tuple[tuple[int, ...], int, int]:
    """The strides of a slot, how many elements lie before its first one, and how many in all."""
    strides, step = [0] * len(shape), layout.gap
    for axis in reversed(layout.order):
        if axis not in layout.repeated:
            strides[axis] = -step if axis in layout.flipped else step
            step *= max(shape[axis], 1)
    back, count = span(shape, strides)
    return tuple(strides), layout.lead + back, layout.lead + count


def place(dtype: DType, shape: tuple[int, ...], layout: Layout) -> Placed:
    """A fresh storage that just holds a slot of `shape` in `layout`."""
    strides, first, count = strided(shape, layout)
    storage = Storage(count * dtype.itemsize)
    binding = SlotBinding(storage.pointer, storage.size, first, strides)
    return Placed(storage, binding, _view(storage, np.dtype(dtype.numpy), shape, binding))


def _view(
    storage: Storage, dtype: np.dtype, shape: tuple[int, ...], bound: SlotBinding
) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, dtype)
    first = storage.bytes[bound.offset * dtype.itemsize :][: dtype.itemsize].view(dtype)
    strides = tuple(s * dtype.itemsize for s in bound.strides)
    return np.lib.stride_tricks.as_strided(first.reshape(()), shape, strides)


def fill(placed: Placed, dtype: DType, random: np.random.Generator) -> None:
    """Values of every kind: small integers, fractions, and the special ones of the type."""
    placed.array[...] = values(dtype, placed.array.shape, random)


def values(dtype: DType, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if dtype.name == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind.value == "int":
        info = np.iinfo(dtype.numpy)
        near = random.integers(-4 if info.min else 0, 5, shape)
        wide = random.integers(info.min, info.max, shape, dtype=dtype.numpy, endpoint=True)
        return np.where(random.random(shape) < 0.7, near, wide).astype(dtype.numpy)
    ordinary = np.where(
        random.random(shape) < 0.5, random.integers(-8, 9, shape), random.normal(0, 3, shape)
    )
    special = random.choice(SPECIAL, shape)
    floats = np.where(random.random(shape) < 0.85, ordinary, special)
    with np.errstate(over="ignore"):
        floats = floats.astype(np.float64 if dtype.name == "f64" else np.float32)
        if dtype.name == "bf16":
            return (floats.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
        return floats.astype(dtype.numpy)


SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 3e38, -3e38, 65504.0, 2.5, -0.5)


def bind(
    program: Program,
    extents: tuple[int, ...],
    params: tuple[int | float, ...],
    layouts: tuple[Layout, ...],
    seed: int,
) -> tuple[Binding, tuple[Placed, ...]]:
    """A binding of fresh storages that hold random values."""
    random = np.random.default_rng(seed)
    placed = []
    for slot, layout in zip(program.slots, layouts, strict=True):
        here = place(slot.dtype, tuple(extents[a] for a in slot.axes), layout)
        fill(here, slot.dtype, random)
        placed.append(here)
    return Binding(extents, params, tuple(p.binding for p in placed)), tuple(placed)


def bind_contiguous(
    program: Program, binding: Binding, placed: tuple[Placed, ...]
) -> tuple[Binding, tuple[Placed, ...]]:
    """The same launch on contiguous copies of all slots."""
    copies = []
    for slot, original in zip(program.slots, placed, strict=True):
        here = place(slot.dtype, original.array.shape, contiguous(len(slot.axes)))
        here.array[...] = original.array
        copies.append(here)
    slots = tuple(p.binding for p in copies)
    return Binding(binding.extents, binding.params, slots), tuple(copies)


def load(backend: str, verified: VerifiedProgram) -> Kernel:
    """A program loaded into a backend, to be launched on storages."""
    found = registry.backend(backend)
    kernel = found.load(verified)
    return kernel if found.memory is None else CarriedKernel(kernel, found.memory)


def launch_once(kernel: Kernel, binding: Binding, threads: int | None = None) -> int:
    """Prepare a kernel for a binding and launch it; the error flag."""
    ready = kernel.prepare(binding.extents, binding.params, binding.layouts, threads=threads)
    return ready(*binding.pointers)


@dataclass(frozen=True)
class CarriedKernel:
    """A kernel on storages it does not reach."""

    kernel: Kernel
    memory: Memory

    def prepare(self, *bound_to: Any, **where: Any) -> CarriedLaunch:
        return CarriedLaunch(self.kernel.prepare(*bound_to, **where), self.memory)


@dataclass(frozen=True)
class CarriedLaunch:
    """A bound launch for which storages are copied to the device and back."""

    launch: BoundLaunch
    memory: Memory
    takes_arrays: ClassVar[bool] = False

    def __call__(self, *pointers: int) -> int:
        copies = {s: self.memory.upload(s.guarded) for s in Storage.alive}
        moved = list(pointers)
        for storage, copy in copies.items():
            start, (there, _) = storage.guarded.ctypes.data, copy.__cuda_array_interface__["data"]
            for n, pointer in enumerate(pointers):
                if start <= pointer < start + storage.guarded.size:
                    moved[n] = pointer - start + there
        flag = self.launch(*moved) | self.memory.synchronize()
        for storage, copy in copies.items():
            self.memory.download(copy, storage.guarded)
        return flag
