"""What goes on around a call that only torch's own operators take part in.

A plan computes numbers. Forward-mode tangents and fake tensors are carried along by operators.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad

__all__ = ["forward_ad", "in_fake_mode", "modes", "need_operators"]

#: How many modes that take operators for themselves are in effect.
modes = torch._C._len_torch_dispatch_stack


def in_fake_mode() -> bool:
    """Whether whatever operators make is fake now, also of real tensors."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None


def need_operators(*tensors: Any) -> bool:
    """Whether only torch's own operators do with these what is wanted now: carry a forward-mode
    tangent along, or make fake tensors."""
    if forward_ad._current_level < 0:
        return bool(modes()) and in_fake_mode()
    duals = (torch._VF._unpack_dual(t, level=0) for t in tensors if isinstance(t, torch.Tensor))
    return in_fake_mode() or any(tangent is not None for _, tangent in duals)
