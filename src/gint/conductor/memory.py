"""Memory for large results, used again once the caller has let go of it.

Fresh memory costs more than the arithmetic that fills it (docs/performance.md). So large results
come from a bounded pool: it keeps the storages it handed out, and hands one out again when nobody
else holds it. Small results are torch's own business.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections import deque
from collections.abc import Iterator
from functools import cache
from sys import getrefcount
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import torch

#: Results below this many bytes are allocated by torch; its allocator reuses small memory itself.
POOLED_BYTES = 1 << 20
#: Fresh memory of at least this size asks for huge pages.
_HUGE_BYTES = 1 << 22
#: Tensors of one shape kept at most.
_MAX_KEPT = 8

_use_count = torch._C._storage_Use_Count


class Pool:
    """All storages kept, at most `limit` bytes of them.

    A shelf lives as long as a plan refers to it or something lies on it.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.shelves: WeakValueDictionary[tuple, Shelf] = WeakValueDictionary()
        self.filled: dict[Shelf, None] = {}
        #: Held while anything is added or dropped; handing out needs no lock.
        self.lock = Lock()

    def shelf(self, size: tuple, stride: tuple, dtype: torch.dtype) -> Shelf:
        key = (size, stride, dtype)
        found = self.shelves.get(key)
        if found is None:
            found = self.shelves[key] = Shelf(self, key)
        return found

    def keep(self, shelf: Shelf, entry: Kept) -> bool:
        """Put a storage on a shelf if there is room, dropping what nobody uses if need be."""
        with self.lock:
            if len(shelf.kept) >= _MAX_KEPT or not self._make_room(entry.memory[1]):
                return False
            self.bytes += entry.memory[1]
            self.filled[shelf] = None
            shelf.kept.append(entry)
            return True

    def forget(self, entry: Kept) -> None:
        """A storage taken off a shelf does not come back."""
        with self.lock:
            self.bytes -= entry.memory[1]

    def clear(self) -> None:
        """Give back everything nobody uses."""
        with self.lock:
            for shelf in list(self.filled):
                self._empty(shelf)

    def _make_room(self, nbytes: int) -> bool:
        if nbytes <= self.limit:
            for shelf in list(self.filled):
                if self.bytes + nbytes <= self.limit:
                    break
                self._empty(shelf)
        return self.bytes + nbytes <= self.limit

    def _empty(self, shelf: Shelf) -> None:
        for entry in shelf.take_free():
            self.bytes -= entry.memory[1]
        if not shelf.kept:
            self.filled.pop(shelf, None)


class Kept:
    """A storage the pool handed out, and how one sees that nobody else holds it.

    The use count tells of tensors. Whoever asks a tensor for its storage gets the very object kept
    here, which only Python's own count tells. And the memory behind a storage may be replaced
    while somebody holds it: resized, or moved to where other processes read it.
    """

    __slots__ = ("holders", "memory", "storage", "tensor")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor, self.storage = tensor, tensor.untyped_storage()
        self.holders, self.memory = self.count_holders(), self.find_memory()

    def count_holders(self) -> tuple[int, int]:
        return _use_count(self.storage._cdata), getrefcount(self.storage)

    def find_memory(self) -> tuple[int, int]:
        return self.storage.data_ptr(), self.storage.nbytes()

    def is_free(self) -> bool:
        return self.count_holders() == self.holders


class Shelf:
    """The kept tensors of one size, stride and dtype. Calling it gives one to fill."""

    def __init__(self, pool: Pool, key: tuple) -> None:
        self.pool, self.key = pool, key
        self.kept: deque[Kept] = deque()

    def __call__(self) -> torch.Tensor:
        for entry in self.take_free():
            if entry.find_memory() == entry.memory:
                found = entry.tensor.data
                self.kept.append(entry)
                return found
            self.pool.forget(entry)
        return self._fresh()

    def take_free(self) -> Iterator[Kept]:
        """The storages nobody uses, each taken off the shelf before it is looked at: popleft is
        atomic, so that two threads never see the same one."""
        for _ in range(len(self.kept)):
            try:
                entry = self.kept.popleft()
            except IndexError:
                return
            if entry.is_free():
                yield entry
            else:
                self.kept.append(entry)

    def _fresh(self) -> torch.Tensor:
        size, stride, dtype = self.key
        # A tensor made in inference mode could never be saved for a backward pass.
        with torch.inference_mode(False):
            entry = Kept(torch.empty_strided(size, stride, dtype=dtype))
        pointer, nbytes = entry.memory
        if nbytes >= _HUGE_BYTES:
            _ask_for_huge_pages(pointer, nbytes)
        # Handed out before it lies on the shelf: another thread may look at it at once.
        found = entry.tensor.data
        return found if self.pool.keep(self, entry) else entry.tensor


def _default_limit() -> int:
    """A sixteenth of the machine's memory, at most a gibibyte."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        total = 4 << 30
    return min(1 << 30, total // 16)


POOL = Pool(_default_limit())


def allocate(size: tuple, stride: tuple, dtype: torch.dtype) -> torch.Tensor:
    """An uninitialised tensor on the CPU, for sizes only known at the call."""
    count = dtype.itemsize
    for length in size:
        count *= length
    if count < POOLED_BYTES:
        return empty_strided(size, stride, dtype)
    return POOL.shelf(size, stride, dtype)()


def _plain(size: tuple, stride: tuple, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_strided(size, stride, dtype=dtype)


#: torch's own shortcut for `torch.empty_strided` on the CPU, where this torch has it.
empty_strided = getattr(torch._C._dynamo.guards, "_empty_strided_cpu", _plain)


@cache
def _madvise() -> Any:
    try:
        return ctypes.CDLL(None, use_errno=True).madvise
    except (OSError, AttributeError):
        return None


def _ask_for_huge_pages(pointer: int, nbytes: int) -> None:
    advice, call = getattr(mmap, "MADV_HUGEPAGE", None), _madvise()
    if advice is None or call is None:
        return
    page = mmap.PAGESIZE
    start = (pointer + page - 1) // page * page
    length = (pointer + nbytes - start) // page * page
    if length > 0:
        call(ctypes.c_void_p(start), ctypes.c_size_t(length), advice)
