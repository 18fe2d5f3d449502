"""Tensors brought into the sizes and strides that a plan was made for.

Knows tensors and bound launches. Does not know plans.
"""

from __future__ import annotations

from typing import Any

import torch

from gint.backend.protocol import BoundLaunch
from gint.plan.dtypes import span


def resolved(t: torch.Tensor) -> torch.Tensor:
    """The same values without a negative or conjugate bit, which the memory knows nothing of."""
    return t.resolve_conj().resolve_neg()


def memory_of(t: torch.Tensor) -> memoryview:
    """The bytes of a tensor on the CPU, from its first element to its last; nothing is copied."""
    if t.numel() == 0:
        return memoryview(b"")
    count = span(t.shape, t.stride())
    flat = t.detach().as_strided((count,), (1,), t.storage_offset())
    return memoryview(flat.view(torch.uint8).numpy())


def restride(t: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """The same values in the strides the graph was traced with."""
    return torch.empty_strided(t.shape, stride, dtype=t.dtype, device=t.device).copy_(t)


def settled(
    t: torch.Tensor, size: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype
) -> torch.Tensor:
    """The same values as a launch may read them. Raises RuntimeError for others than were said."""
    if t.shape != size or t.dtype != dtype:
        raise RuntimeError(
            f"A tensor of shape {tuple(t.shape)} and {t.dtype} came where the graph was traced "
            f"with {size} and {dtype}: a custom operator's fake kernel, or the hooks on saved "
            "tensors, say otherwise than what they do."
        )
    return resolved(t) if t.stride() == stride else restride(t, stride)


def launch_on_copies(
    launch: BoundLaunch,
    tensors: tuple[torch.Tensor, ...],
    written: tuple[int, ...],
    **how: Any,
) -> int:
    """Launch on copies: the caller's memory may be misaligned, or overlap without torch knowing
    (two tensors made from one NumPy array), or be none at all (zeros that autograd has not made
    yet). The plan comes here once the launch refused it."""
    copies = {t: _copied(t) for t in tensors}
    flag = launch(*(copies[t].data_ptr() for t in tensors), **how)
    for n in written:
        tensors[n].copy_(copies[tensors[n]])
    return flag


def _copied(t: torch.Tensor) -> torch.Tensor:
    if t._is_zerotensor():
        return restride(t, t.stride())
    storage = t.untyped_storage().clone()
    return t.new_empty(0).set_(storage, t.storage_offset(), t.shape, t.stride())


def _as_strided(t: torch.Tensor, size: tuple, stride: tuple, offset: int) -> torch.Tensor:
    return t.as_strided(size, stride, t.storage_offset() + offset)


#: torch's own way to such a view, where this torch has it; `offset` counts from the tensor's own.
reinterpret = getattr(torch._C._dynamo.guards, "_reinterpret_tensor", _as_strided)
