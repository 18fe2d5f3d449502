"""Which convolutions of a plan gint computes itself, in channels-last memory.

Their weights are packed panel by panel while they are used, from torch's own order, while oneDNN
packs all of them first, into memory that is fresh at every call (docs/performance.md). Knows what a
weight tells; what comes to a step decides there (native/src/torch_convolution.cpp).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from .torch_shim import native_with_torch


def is_own_convolution(weight: torch.Tensor) -> bool:
    """Whether loops of gint's own suit a convolution over images with a weight (results, channels
    of a group, height, width): float32, with channels enough. Groups are as wide as they are."""
    native: Any = native_with_torch()
    if native is None or weight.dim() != 4 or weight.dtype is not torch.float32:
        return False
    results, channels, *kernel = weight.shape
    return native.suits_convolution(results, channels, math.prod(kernel))
