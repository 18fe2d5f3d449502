"""The conductor's results on the CPU: small ones from torch, large ones from the host's pool."""

from __future__ import annotations

from sys import getrefcount

import torch

from gint.host.memory import HUGE_BYTES, POOL, POOLED_BYTES, Shelf, ask_for_huge_pages

_use_count = torch._C._storage_Use_Count


class TensorEntry:
    """A storage the pool handed out, and how one sees that nobody else holds it.

    The use count tells of tensors. Whoever asks a tensor for its storage gets the very object kept
    here, which only Python's own count tells. And the memory behind a storage may be replaced
    while somebody holds it: resized, or moved to where other processes read it.
    """

    __slots__ = ("holders", "memory", "nbytes", "storage", "tensor")

    def __init__(self, size: tuple, stride: tuple, dtype: torch.dtype) -> None:
        # A tensor made in inference mode could never be saved for a backward pass.
        with torch.inference_mode(False):
            self.tensor = torch.empty_strided(size, stride, dtype=dtype)
        self.storage = self.tensor.untyped_storage()
        self.holders, self.memory = self.count_holders(), self.find_memory()
        pointer, self.nbytes = self.memory
        if self.nbytes >= HUGE_BYTES:
            ask_for_huge_pages(pointer, self.nbytes)

    def count_holders(self) -> tuple[int, int]:
        return _use_count(self.storage._cdata), getrefcount(self.storage)

    def find_memory(self) -> tuple[int, int]:
        return self.storage.data_ptr(), self.storage.nbytes()

    def is_free(self) -> bool:
        return self.count_holders() == self.holders

    def hand_out(self) -> torch.Tensor | None:
        return self.tensor.data if self.find_memory() == self.memory else None


def shelf(size: tuple, stride: tuple, dtype: torch.dtype) -> Shelf:
    """Where tensors of one layout are kept; calling it gives one to fill."""
    return POOL.shelf(TensorEntry, size, stride, dtype)


def allocate(size: tuple, stride: tuple, dtype: torch.dtype) -> torch.Tensor:
    """An uninitialised tensor on the CPU, for sizes only known at the call."""
    count = dtype.itemsize
    for length in size:
        count *= length
    if count < POOLED_BYTES:
        return empty_strided(size, stride, dtype)
    return shelf(size, stride, dtype)()


def _plain(size: tuple, stride: tuple, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_strided(size, stride, dtype=dtype)


#: torch's own shortcut for `torch.empty_strided` on the CPU, where this torch has it.
empty_strided = getattr(torch._C._dynamo.guards, "_empty_strided_cpu", _plain)
