"""Memory for large results, used again once the caller has let go of it.

Fresh memory costs more than the arithmetic that fills it (docs/performance.md). So large results
come from a bounded pool: it keeps the memory it handed out, and hands it out again, for any layout
of about that size, when nobody else holds it. Small results are the allocator's own business. Knows
NumPy arrays; what memory of another kind is, its own `Entry` knows.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from sys import getrefcount
from threading import Lock, Thread
from typing import Any, NamedTuple, Protocol

import numpy as np

from gint.native.loader import load_native

from .forks import keep_free_over_forks

#: Results below this many bytes are not pooled; allocators reuse small memory themselves.
POOLED_BYTES = 1 << 20
#: Fresh memory of at least this size asks for huge pages.
HUGE_BYTES = 1 << 22
#: Where arrays begin: at a cache line, so that no vector that is stored straddles two, and in the
#: middle of a page. NumPy's large arrays begin near the start of one, and a load waits for a store
#: that equals it in the last 12 bits of the address.
_PAGE, _BEGIN = 4096, 2048
#: Linux's MADV_POPULATE_READ, since 5.14, for which Python has no name. It reports what it cannot
#: read, where a load from there would end the process.
_POPULATE_READ = 22
#: Of a file that is mapped ahead: all of a small model, which a first call reads.
_AHEAD_BYTES = 256 << 20
#: Pieces that are looked at for one that is free. The next to ask goes on from there, so that many
#: may be held for long, as a step of training holds what its backward pass needs.
_MAX_TRIES = 16
#: A size that nobody asked for while so many pieces were made is given back. And so many are made
#: until a full pool is searched for free ones again.
_MAX_IDLE = 32


class Entry(Protocol):
    """A piece of memory of `nbytes`, and how one sees that nobody else holds it."""

    nbytes: int

    def __init__(self, nbytes: int) -> None: ...

    def is_free(self) -> bool:
        """Whether nobody but the entry holds the memory."""

    def hand_out(self, layout: Any) -> Any | None:
        """A result of this layout on the memory, which nobody else holds now; None where it was
        replaced and cannot be used again."""


class Statistics(NamedTuple):
    """A pool's memory in bytes: kept, that part of it which is in use, and the limit. How often it
    was asked for memory, and how often it made some."""

    kept: int
    used: int
    limit: int
    asked: int
    made: int


class Pool:
    """All memory kept, at most `limit` bytes of it."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes, self.made = limit, 0, 0
        self.full_until = 0  # so many made
        self.sizes: dict[tuple[type[Entry], int], SizeClass] = {}
        #: Held while anything is added or dropped; handing out needs no lock.
        self.lock = Lock()

    def sized(self, kind: type[Entry], nbytes: int) -> SizeClass:
        """Where memory of one kind for results of so many bytes lies."""
        nbytes = rounded(nbytes)
        found = self.sizes.get((kind, nbytes))
        return found or self.sizes.setdefault((kind, nbytes), SizeClass(self, kind, nbytes))

    def keep(self, sized: SizeClass, entry: Entry) -> None:
        """Keep an entry if there is room, dropping what nobody uses if need be."""
        with self.lock:
            self.made += 1
            for other in list(self.sizes.values()):
                self._age(other)
            if self._make_room(entry.nbytes):
                self.bytes += entry.nbytes
                sized.kept.append(entry)

    def forget(self, entry: Entry) -> None:
        """An entry taken out does not come back."""
        with self.lock:
            self.bytes -= entry.nbytes

    def clear(self) -> None:
        """Give back everything nobody uses."""
        with self.lock:
            for sized in list(self.sizes.values()):
                self._empty(sized)
        trim()

    def statistics(self) -> Statistics:
        with self.lock:
            sizes = list(self.sizes.values())
            free = sum(e.nbytes for s in sizes for e in tuple(s.kept) if e.is_free())
            asked = sum(s.asked for s in sizes)
            return Statistics(self.bytes, self.bytes - free, self.limit, asked, self.made)

    def _age(self, sized: SizeClass) -> None:
        sized.idle = sized.idle + 1 if sized.asked == sized.seen else 0
        sized.seen = sized.asked
        if sized.idle >= _MAX_IDLE and sized.kept:
            self._empty(sized)

    def _make_room(self, nbytes: int) -> bool:
        if self.bytes + nbytes <= self.limit:
            return True
        if nbytes > self.limit or self.made < self.full_until:
            return False
        for sized in sorted(self.sizes.values(), key=lambda s: -s.idle):
            self._empty(sized)
            if self.bytes + nbytes <= self.limit:
                return True
        self.full_until = self.made + _MAX_IDLE
        return False

    def _empty(self, sized: SizeClass) -> None:
        for entry in sized.take_free():
            self.bytes -= entry.nbytes


def rounded(nbytes: int) -> int:
    """The size of the memory for so many bytes: at most an eighth more."""
    step = 1 << max(nbytes.bit_length() - 4, 0)
    return -(-nbytes // step) * step


class SizeClass:
    """The kept entries of one kind and size. `asked` counts how often one was wanted."""

    def __init__(self, pool: Pool, kind: type[Entry], nbytes: int) -> None:
        self.pool, self.kind, self.nbytes = pool, kind, nbytes
        self.kept: deque[Entry] = deque()
        self.asked = self.seen = self.idle = 0

    def take(self, layout: Any) -> Any:
        """A result of this layout, to be filled."""
        self.asked += 1
        kept = self.kept
        # The one used last is tried first: the caches still hold it, and mostly it is free.
        for _ in range(min(len(kept), _MAX_TRIES)):
            try:
                entry = kept.pop()
            except IndexError:
                break
            if not entry.is_free():
                kept.appendleft(entry)
                continue
            found = entry.hand_out(layout)
            if found is not None:
                kept.append(entry)
                return found
            self.pool.forget(entry)
        entry = self.kind(self.nbytes)
        # Handed out before it is kept: another thread may look at it at once.
        found = entry.hand_out(layout)
        self.pool.keep(self, entry)
        return found

    def take_free(self) -> Iterator[Entry]:
        """The entries nobody uses, each taken out before it is looked at: pop and popleft are
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


class ArrayEntry:
    """Bytes for NumPy arrays; a layout is a shape and a dtype. Arrays and views of them, of any
    depth, refer to these bytes."""

    __slots__ = ("data", "holders", "nbytes", "offset")

    def __init__(self, nbytes: int) -> None:
        self.data = np.empty(nbytes + _PAGE, np.uint8)
        self.nbytes = self.data.nbytes
        address = self.data.ctypes.data
        if nbytes >= HUGE_BYTES:
            ask_for_huge_pages(address, self.nbytes)
        self.offset = (_BEGIN - address) % _PAGE
        self.holders = getrefcount(self.data)

    def is_free(self) -> bool:
        return getrefcount(self.data) == self.holders

    def hand_out(self, layout: tuple[tuple[int, ...], np.dtype]) -> np.ndarray:
        shape, dtype = layout
        return np.ndarray(shape, dtype, self.data, self.offset)


def _default_limit() -> int:
    """A sixteenth of the machine's memory, at most a gibibyte."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        total = 4 << 30
    return min(1 << 30, total // 16)


POOL = Pool(_default_limit())
keep_free_over_forks(POOL.lock)


def shelf(shape: tuple[int, ...], dtype: np.dtype) -> Callable[[], np.ndarray] | None:
    """Where large arrays of one shape and type come from; None for small ones."""
    count = dtype.itemsize
    for length in shape:
        count *= length
    if count < POOLED_BYTES:
        return None
    return partial(POOL.sized(ArrayEntry, count).take, (shape, dtype))


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array in C order, from the pool if it is large."""
    pooled = shelf(shape, dtype)
    return pooled() if pooled else np.empty(shape, dtype)


def reserve(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeros in C order of which only the small pages that are written to take up memory: for what
    may never be used as a whole. (NumPy asks for huge pages, each of which counts as a whole.)"""
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < POOLED_BYTES:
        return np.zeros(shape, dtype)
    # Not Python's own default, which a forked child would go on sharing.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {}
    pages = mmap.mmap(-1, nbytes, **private)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # of a kernel without huge pages
            pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, dtype).reshape(shape)


def map_ahead(file: mmap.mmap) -> Thread | None:
    """Have the first pages of a mapped file at hand, by a thread, while the process does something
    else: each would otherwise stop whoever reads it first, once in the process's page tables and
    once more where a virtual machine has not seen it lately. None for a small file, and where the
    system has no such call."""
    call = _libc("madvise")
    if call is None or not sys.platform.startswith("linux") or len(file) < HUGE_BYTES:
        return None
    shown = np.frombuffer(file, np.uint8)[:_AHEAD_BYTES]  # which keeps it mapped

    def bring_in() -> None:
        where = ctypes.c_void_p(shown.ctypes.data), ctypes.c_size_t(shown.size)
        if call(*where, _POPULATE_READ) == 0:  # else: no such call, or a file cut short
            shown[:: mmap.PAGESIZE].max()

    thread = Thread(target=bring_in, name="gint-map-ahead", daemon=True)
    thread.start()
    return thread


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
def _libc(name: str) -> Any:
    """A function of the C library's, or None."""
    try:
        return getattr(ctypes.CDLL(None, use_errno=True), name)
    except (OSError, AttributeError):
        return None


def trim() -> None:
    """Have the C library give the pages of free memory back, also those between what is used."""
    if (call := _libc("malloc_trim")) is not None:
        call(ctypes.c_size_t(0))


def ask_for_huge_pages(pointer: int, nbytes: int) -> None:
    """Tell the kernel, where it listens, that the memory will be used as a whole."""
    advice, call = getattr(mmap, "MADV_HUGEPAGE", None), _libc("madvise")
    if advice is None or call is None:
        return
    page = mmap.PAGESIZE
    start = (pointer + page - 1) // page * page
    length = (pointer + nbytes - start) // page * page
    if length > 0:
        call(ctypes.c_void_p(start), ctypes.c_size_t(length), advice)
