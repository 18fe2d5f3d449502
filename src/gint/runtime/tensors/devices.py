"""What differs with the device tensors live on: memory for results, and the stream of a launch.

Knows torch's devices. Does not know backends: which of them runs a device's tensors is
selection.py's business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch


def allocator(device: torch.device) -> Callable[..., torch.Tensor]:
    """`torch.empty_strided(size, stride, dtype)` on a device other than the CPU, by torch's own
    allocator: what it hands out belongs to the current stream, on which the launch runs too."""
    short = getattr(torch._C._dynamo.guards, "_empty_strided_cuda", None)
    # torch's shortcut allocates on the current device; where there is one only, it is that.
    if device.type == "cuda" and short is not None and torch.cuda.device_count() == 1:
        return short
    return partial(_empty_strided, device)


def _empty_strided(
    device: torch.device, size: tuple, stride: tuple, dtype: torch.dtype
) -> torch.Tensor:
    return torch.empty_strided(size, stride, dtype=dtype, device=device)


def scratch(device: torch.device) -> Callable[[int], torch.Tensor]:
    """So many bytes from torch's allocator; they are the launch's until the tensor is dropped."""
    return partial(torch.empty, dtype=torch.uint8, device=device)


def current_stream(device: torch.device) -> Callable[[int], int]:
    """torch's current stream on the device of an ordinal, as the number a backend takes."""
    raw = getattr(torch._C, f"_{device.type}_getCurrentRawStream", None)
    return raw or (lambda ordinal: 0)
