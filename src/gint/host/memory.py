"""Memory for large results, used again once the caller has let go of it.

Fresh memory costs more than the arithmetic that fills it (docs/performance.md). So large results
come from a bounded pool: it keeps the memory it handed out, and hands it out again when nobody else
holds it. Small results are the allocator's own business. Knows NumPy arrays; what memory of another
kind is, its own `Entry` knows.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from sys import getrefcount
from threading import Lock
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from gint.native.loader import load_native

#: Results below this many bytes are not pooled; allocators reuse small memory themselves.
POOLED_BYTES = 1 << 20
#: Fresh memory of at least this size asks for huge pages.
HUGE_BYTES = 1 << 22
#: Where arrays begin: at a cache line, so that no vector that is stored straddles two, and in the
#: middle of a page. NumPy's large arrays begin near the start of one, and a load waits for a store
#: that equals it in the last 12 bits of the address.
_PAGE, _BEGIN = 4096, 2048
#: Results of one kind kept at most.
_MAX_KEPT = 8


class Entry(Protocol):
    """A piece of memory, and how one sees that nobody else holds it."""

    nbytes: int

    def is_free(self) -> bool:
        """Whether nobody but the entry holds the memory."""

    def hand_out(self) -> Any | None:
        """A result on the memory; None where it was replaced and cannot be used again."""


class Pool:
    """All memory kept, at most `limit` bytes of it.

    A shelf lives as long as somebody refers to it or something lies on it.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.shelves: WeakValueDictionary[tuple, Shelf] = WeakValueDictionary()
        self.filled: dict[Shelf, None] = {}
        #: Held while anything is added or dropped; handing out needs no lock.
        self.lock = Lock()

    def shelf(self, make: Callable[..., Entry], *key: Any) -> Shelf:
        """The shelf of the entries that `make(*key)` makes."""
        found = self.shelves.get((make, *key))
        if found is None:
            found = self.shelves[make, *key] = Shelf(self, make, key)
        return found

    def keep(self, shelf: Shelf, entry: Entry) -> None:
        """Put an entry on a shelf if there is room, dropping what nobody uses if need be."""
        with self.lock:
            if len(shelf.kept) < _MAX_KEPT and self._make_room(entry.nbytes):
                self.bytes += entry.nbytes
                self.filled[shelf] = None
                shelf.kept.append(entry)

    def forget(self, entry: Entry) -> None:
        """An entry taken off a shelf does not come back."""
        with self.lock:
            self.bytes -= entry.nbytes

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
            self.bytes -= entry.nbytes
        if not shelf.kept:
            self.filled.pop(shelf, None)


class Shelf:
    """The kept entries of one kind. Calling it gives a result to fill."""

    def __init__(self, pool: Pool, make: Callable[..., Entry], key: tuple) -> None:
        self.pool, self.make, self.key = pool, make, key
        self.kept: deque[Entry] = deque()

    def __call__(self) -> Any:
        # The one used last is tried first: the caches still hold it, and mostly it is free.
        for _ in range(len(self.kept)):
            try:
                entry = self.kept.pop()
            except IndexError:
                break
            if not entry.is_free():
                self.kept.appendleft(entry)
                continue
            found = entry.hand_out()
            if found is not None:
                self.kept.append(entry)
                return found
            self.pool.forget(entry)
        entry = self.make(*self.key)
        # Handed out before it lies on the shelf: another thread may look at it at once.
        found = entry.hand_out()
        self.pool.keep(self, entry)
        return found

    def take_free(self) -> Iterator[Entry]:
        """The entries nobody uses, each taken off the shelf before it is looked at: pop and popleft
        are atomic, so that two threads never see the same one."""
        for _ in range(len(self.kept)):
            try:
                entry = self.kept.popleft()
            except IndexError:
                return
            if entry.is_free():
                yield entry
            else:
                self.kept.append(entry)


class ArrayEntry:
    """Bytes for a NumPy array. Arrays and views of it, of any depth, refer to these bytes."""

    __slots__ = ("array", "data", "hand_out", "holders", "nbytes")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        size = math.prod(shape) * dtype.itemsize
        self.data = np.empty(size + _PAGE, np.uint8)
        self.nbytes = self.data.nbytes
        address = self.data.ctypes.data
        if size >= HUGE_BYTES:
            ask_for_huge_pages(address, self.nbytes)
        self.array = np.ndarray(shape, dtype, self.data, (_BEGIN - address) % _PAGE)
        self.hand_out = self.array.view
        self.holders = getrefcount(self.data)

    def is_free(self) -> bool:
        return getrefcount(self.data) == self.holders


def _default_limit() -> int:
    """A sixteenth of the machine's memory, at most a gibibyte."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        total = 4 << 30
    return min(1 << 30, total // 16)


POOL = Pool(_default_limit())


def shelf(shape: tuple[int, ...], dtype: np.dtype) -> Shelf | None:
    """Where large arrays of one shape and type come from; None for small ones."""
    count = dtype.itemsize
    for length in shape:
        count *= length
    return POOL.shelf(ArrayEntry, shape, dtype) if count >= POOLED_BYTES else None


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array in C order, from the pool if it is large."""
    pooled = shelf(shape, dtype)
    return pooled() if pooled else np.empty(shape, dtype)


def _by_interface(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _address() -> Callable[[np.ndarray], int]:
    try:
        return load_native().address
    except (ImportError, AttributeError):  # not built, or from other sources
        return _by_interface


#: Where the first element of an array lies.
address: Callable[[np.ndarray], int] = _address()


@cache
def _madvise() -> Any:
    try:
        return ctypes.CDLL(None, use_errno=True).madvise
    except (OSError, AttributeError):
        return None


def ask_for_huge_pages(pointer: int, nbytes: int) -> None:
    """Tell the kernel, where it listens, that the memory will be used as a whole."""
    advice, call = getattr(mmap, "MADV_HUGEPAGE", None), _madvise()
    if advice is None or call is None:
        return
    page = mmap.PAGESIZE
    start = (pointer + page - 1) // page * page
    length = (pointer + nbytes - start) // page * page
    if length > 0:
        call(ctypes.c_void_p(start), ctypes.c_size_t(length), advice)
