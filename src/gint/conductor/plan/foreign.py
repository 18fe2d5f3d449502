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

#: The hooks on saved tensors in effect, or None.
saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks

#: How many modes that take operators for themselves are in effect.
modes = torch._C._len_torch_dispatch_stack


class Saving:
    """What a forward graph tells its backward graph: whether hooks ever saw what it saved."""

    hooked = False


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
