"""Memory between pages that nobody may touch: a read or a write outside ends the process.

For what tests/memory.py cannot notice: reads outside. Linux; host memory only.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np

AVAILABLE = sys.platform == "linux"
_PAGE = mmap.PAGESIZE
_PROT_NONE = 0


class Fence:
    """`capacity` bytes, rounded up to pages, with an unreadable page on either side.

    Stays for the life of the process: what the pages hold may be looked at in a debugger.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = -(-max(capacity, 1) // _PAGE) * _PAGE
        self._memory = mmap.mmap(-1, self.capacity + 2 * _PAGE)
        first = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.address = first + _PAGE
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for page in (first, self.address + self.capacity):
            if protect(page, _PAGE, _PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(self._memory, np.uint8, self.capacity, _PAGE)

    def place(self, size: int, at_end: bool) -> int:
        """Where `size` bytes begin that touch the page before, or the one behind."""
        return self.capacity - size if at_end else 0


def fenced(array: np.ndarray, at_end: bool) -> np.ndarray:
    """A copy in C order whose first or last byte is next to a page nobody may touch."""
    fence = Fence(array.nbytes)
    start = fence.place(array.nbytes, at_end)
    copy = fence.bytes[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
