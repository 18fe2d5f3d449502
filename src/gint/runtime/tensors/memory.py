"""The conductor's results on the CPU: small ones from torch, large ones from the host's pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from sys import getrefcount

import torch

from gint.host.memory import HUGE_BYTES, POOL, POOLED_BYTES, ask_for_huge_pages
from gint.plan.dtypes import span

from .layouts import reinterpret

#: The shape, the strides and the type of a tensor.
Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]

_use_count = torch._C._storage_Use_Count


class TensorEntry:
    """A storage the pool handed out, and how one sees that nobody else holds it.

    The use count tells of tensors. Whoever asks a tensor for its storage gets the very object kept
    here, which only Python's own count tells. And the memory behind a storage may be replaced
    while somebody holds it: resized, or moved to where other processes read it.
    """

    __slots__ = ("bases", "holders", "memory", "nbytes", "storage")

    def __init__(self, nbytes: int) -> None:
        self.storage = torch.UntypedStorage(nbytes, device="cpu")
        self.bases: dict[torch.dtype, torch.Tensor] = {}
        self.holders, self.memory = self.count_holders(), self.find_memory()
        pointer, self.nbytes = self.memory
        if self.nbytes >= HUGE_BYTES:
            ask_for_huge_pages(pointer, self.nbytes)

    def count_holders(self) -> tuple[int, int]:
        return _use_count(self.storage._cdata), getrefcount(self.storage)

    def find_memory(self) -> tuple[int, int]:
        return self.storage.data_ptr(), self.storage.nbytes()

    def is_free(self) -> bool:
        uses, references = self.holders
        return _use_count(self.storage._cdata) == uses and getrefcount(self.storage) == references

    def hand_out(self, layout: Layout) -> torch.Tensor | None:
        if self.find_memory() != self.memory:
            return None
        size, stride, dtype = layout
        base = self.bases.get(dtype)
        if base is None:
            base = self._new_base(dtype)
        return reinterpret(base, size, stride, 0)

    def _new_base(self, dtype: torch.dtype) -> torch.Tensor:
        """All of the memory as one line, which results are other looks at."""
        with torch.inference_mode(False):
            made = torch.empty(0, dtype=dtype, device="cpu")
            base = self.bases[dtype] = made.set_(self.storage)
        del made
        self.holders = self.count_holders()
        return base


def shelf(size: tuple, stride: tuple, dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    """Where tensors of one layout come from; calling it gives one to fill."""
    sized = POOL.sized(TensorEntry, span(size, stride) * dtype.itemsize)
    return partial(sized.take, (size, stride, dtype))


def allocate(size: tuple, stride: tuple, dtype: torch.dtype) -> torch.Tensor:
    """An uninitialised tensor on the CPU, for sizes only known at the call."""
    nbytes = span(size, stride) * dtype.itemsize
    if nbytes < POOLED_BYTES:
        return empty_strided(size, stride, dtype)
    return POOL.sized(TensorEntry, nbytes).take((size, stride, dtype))


def _plain(size: tuple, stride: tuple, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_strided(size, stride, dtype=dtype, device="cpu")


#: torch's own shortcut for `torch.empty_strided` on the CPU, where this torch has it.
empty_strided = getattr(torch._C._dynamo.guards, "_empty_strided_cpu", _plain)
