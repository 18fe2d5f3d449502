"""Memory for large results, used again once the caller has let go of it.

Fresh memory costs more than the arithmetic that fills it (docs/performance.md). So large results
come from a bounded pool: it keeps the storages it handed out, and hands one out again when nobody
else holds it, which a storage's use count tells. Small results are torch's own business.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections import deque
from functools import cache
from typing import Any

import torch

#: Results below this many bytes are allocated by torch; its allocator reuses small memory itself.
POOLED_BYTES = 1 << 20
#: Fresh memory of at least this size asks for huge pages.
_HUGE_BYTES = 1 << 22
#: Tensors of one shape kept at most.
_MAX_KEPT = 8
#: What the pool itself holds on a storage: its tensor and the storage object.
_OWN_COUNT = 2

_use_count = torch._C._storage_Use_Count


class Pool:
    """All storages kept, at most `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.shelves: dict[tuple, Shelf] = {}

    def shelf(self, size: tuple, stride: tuple, dtype: torch.dtype) -> Shelf:
        key = (size, stride, dtype)
        found = self.shelves.get(key)
        if found is None:
            found = self.shelves[key] = Shelf(self, key)
        return found

    def make_room(self, nbytes: int) -> bool:
        """Whether `nbytes` more fit, dropping storages nobody uses if need be."""
        if nbytes > self.limit:
            return False
        for shelf in list(self.shelves.values()):
            if self.bytes + nbytes <= self.limit:
                break
            shelf.drop_free()
        return self.bytes + nbytes <= self.limit

    def clear(self) -> None:
        """Give back everything nobody uses."""
        for shelf in list(self.shelves.values()):
            shelf.drop_free()


class Shelf:
    """The kept tensors of one size, stride and dtype. Calling it gives one to fill."""

    def __init__(self, pool: Pool, key: tuple) -> None:
        self.pool, self.key = pool, key
        self.kept: deque[tuple[torch.Tensor, Any]] = deque()

    def __call__(self) -> torch.Tensor:
        # popleft is atomic: two threads never look at the same storage.
        for _ in range(len(self.kept)):
            try:
                entry = self.kept.popleft()
            except IndexError:
                break
            tensor, storage = entry
            free = _use_count(storage._cdata) == _OWN_COUNT
            found = tensor.data if free else None
            self.kept.append(entry)
            if found is not None:
                return found
        return self._fresh()

    def _fresh(self) -> torch.Tensor:
        size, stride, dtype = self.key
        # A tensor made in inference mode could never be saved for a backward pass.
        with torch.inference_mode(False):
            tensor = torch.empty_strided(size, stride, dtype=dtype)
        storage = tensor.untyped_storage()
        nbytes = storage.nbytes()
        if nbytes >= _HUGE_BYTES:
            _ask_for_huge_pages(tensor.data_ptr(), nbytes)
        if len(self.kept) < _MAX_KEPT and self.pool.make_room(nbytes):
            self.pool.bytes += nbytes
            self.kept.append((tensor, storage))
            return tensor.data
        return tensor

    def drop_free(self) -> None:
        for _ in range(len(self.kept)):
            entry = self.kept.popleft()
            if _use_count(entry[1]._cdata) == _OWN_COUNT:
                self.pool.bytes -= entry[1].nbytes()
            else:
                self.kept.append(entry)


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
