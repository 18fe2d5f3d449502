"""Values that others made, brought into what a graph was traced with.

Dynamo's guards look at the inputs of a graph, and at nothing else. Not at the gradients that a
backward graph is called with; at what was saved for it, which hooks may give back changed; at
results of operators whose fake kernels are somebody's word. And no guard sees where memory lies.

Knows tensors. Does not know graphs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad

from gint.backend.protocol import BoundLaunch

#: The hooks on saved tensors in effect, or None.
saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks

#: How many modes that take operators for themselves are in effect.
modes = torch._C._len_torch_dispatch_stack


class Saving:
    """What a forward graph tells its backward graph: whether hooks ever saw what it saved."""

    hooked = False


def resolved(t: torch.Tensor) -> torch.Tensor:
    """The same values without a negative or conjugate bit, which the memory knows nothing of."""
    return t.resolve_conj().resolve_neg()


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


def in_fake_mode() -> bool:
    """Whether whatever operators make is fake now, also of real tensors."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None


def need_operators(*tensors: Any) -> bool:
    """Whether only torch's own operators do with these what is wanted now: carry a forward-mode
    tangent along, or make fake tensors. To be asked inside of a dual level or a mode."""
    if forward_ad._current_level < 0:
        return in_fake_mode()
    duals = (torch._VF._unpack_dual(t, level=0) for t in tensors if isinstance(t, torch.Tensor))
    return in_fake_mode() or any(tangent is not None for _, tangent in duals)


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
