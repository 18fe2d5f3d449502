"""Which convolutions of a plan gint computes itself, in channels-last memory, and how a saved
function does, which has no native runs.

Their weights are packed panel by panel while they are used, from torch's own order, while oneDNN
packs all of them first, into memory that is fresh at every call (docs/performance.md). Knows what a
weight tells; what comes to a step decides there (native/src/torch_convolution.cpp).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from gint.backend import registry

from .torch_shim import native_with_torch

_CONVOLUTION = "aten.convolution.default"
#: Images of fewer are copied on the way, which oneDNN does faster: ConvNeXt 16.9 ms, or 17.7.
_LEAST_CHANNELS = 16


def is_own_convolution(weight: torch.Tensor) -> bool:
    """Whether loops of gint's own suit a convolution over images with a weight (results, channels
    of a group, height, width): float32, with channels enough. Groups are as wide as they are."""
    native: Any = native_with_torch()
    if native is None or weight.dim() != 4 or weight.dtype is not torch.float32:
        return False
    results, channels, *kernel = weight.shape
    return native.suits_convolution(results, channels, math.prod(kernel))


def convolving(name: str, atens: Callable[..., Any]) -> Callable[..., Any]:
    """What computes the convolution called "aten.convolution.default": loops of gint's own where
    they suit it and it lies channels-last, so that nothing is copied; `atens` otherwise, and for
    all other operators."""
    if name != _CONVOLUTION or not registry.probe("cpp").usable:
        return atens
    from gint.operators import OPERATORS, use_backend  # for plans that have such a step

    backend, own = registry.backend("cpp"), OPERATORS[_CONVOLUTION]

    def call(x: torch.Tensor, weight: torch.Tensor, bias: Any, *args: Any) -> torch.Tensor:
        tensors = [t for t in (x, weight, bias) if t is not None]
        is_transposed = args[3]
        if is_transposed or not all(map(_is_array, tensors)) or not _suits(x, weight):
            return atens(x, weight, bias, *args)
        arrays = [None if t is None else t.numpy() for t in (x, weight, bias)]
        with use_backend(backend):
            return torch.from_numpy(own(*arrays, *args))

    return call


def _is_array(t: torch.Tensor) -> bool:
    return t.dtype is torch.float32 and not (t.requires_grad or t.is_neg())


def _suits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    last = torch.channels_last
    return (
        x.dim() == 4
        and weight.dim() == 4
        and weight.shape[1] >= _LEAST_CHANNELS
        and is_own_convolution(weight)
        and x.is_contiguous(memory_format=last)
        and weight.is_contiguous(memory_format=last)
    )
