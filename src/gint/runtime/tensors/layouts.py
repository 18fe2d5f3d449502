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


def restride(t: torch.Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """The same values in the layout the graph was traced with. Its size is the tensor's own, but
    for the few operators that make a scalar where their fake kernels say one row."""
    made = torch.empty_strided(size, stride, dtype=t.dtype, device=t.device)
    return made.copy_(t.reshape(size))


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
    return resolved(t) if t.stride() == stride else restride(t, size, stride)


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
        return restride(t, t.shape, t.stride())
    storage = t.untyped_storage()
    end = (t.storage_offset() + span(t.shape, t.stride())) * t.itemsize
    if end > storage.nbytes():  # set_ would make it larger, with anything in it
        raise RuntimeError(
            f"A tensor of shape {tuple(t.shape)} needs {end} bytes of its storage, which has "
            f"{storage.nbytes()}: its memory was let go of."
        )
    storage = storage.clone()
    return t.new_empty(0).set_(storage, t.storage_offset(), t.shape, t.stride())


def write_strided(
    t: torch.Tensor, values: torch.Tensor, size: Any, stride: Any, storage_offset: Any = None
) -> torch.Tensor:
    """`as_strided_scatter`: what a write through `t.as_strided(...)` becomes in a graph. Raises
    RuntimeError where that reaches memory that is not the tensor's: the graph could not return it.
    """
    first = t.storage_offset() if storage_offset is None else storage_offset
    own = t.new_zeros(span(t.shape, t.stride()), dtype=torch.bool, device="cpu")
    own.as_strided(t.shape, t.stride()).fill_(True)
    start, count = first - t.storage_offset(), span(size, stride)
    reached = own[start : start + count] if start >= 0 else own[:0]
    if count and (len(reached) < count or not reached.as_strided(size, stride).all()):
        raise RuntimeError(
            f"as_strided({tuple(size)}, {tuple(stride)}, {first}) is written to, and reaches "
            f"memory outside of the tensor it is a view of, of shape {tuple(t.shape)}, strides "
            f"{t.stride()} and offset {t.storage_offset()}. Write to a tensor that has all of it, "
            "or leave the function to eager."
        )
    return torch.ops.aten.as_strided_scatter(t, values, size, stride, storage_offset)


def _as_strided(t: torch.Tensor, size: tuple, stride: tuple, offset: int) -> torch.Tensor:
    return t.as_strided(size, stride, t.storage_offset() + offset)


#: torch's own way to such a view, where this torch has it; `offset` counts from the tensor's own.
reinterpret = getattr(torch._C._dynamo.guards, "_reinterpret_tensor", _as_strided)
