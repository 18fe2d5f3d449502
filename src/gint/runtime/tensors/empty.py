"""Operators of ATen's that end the process where a tensor has no elements: a kernel divides by
their number. Eager takes another way there, by sizes that a plan does not have when it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch


def also_of_none(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The operator called "aten.mm.default", also of tensors without elements; `kernel` where it
    is none of those that need help."""
    count, without = _WITHOUT.get(name, (0, None))
    if without is None:
        return kernel

    def call(*args: Any, **kwargs: Any) -> Any:
        if all(t.numel() for t in args[:count]):
            return kernel(*args, **kwargs)
        return without(*args)

    return call


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: Any) -> tuple:
    """No rows, or rows without keys; in the kernel's own layouts."""
    batch, heads, rows, _ = q.shape
    out = q.new_zeros((batch, rows, heads, v.shape[-1])).transpose(1, 2)
    return out, torch.full((batch, rows, heads), -math.inf).transpose(1, 2)


def _lstm(x: torch.Tensor, *args: Any) -> tuple:
    """No steps, or no batch: states stay as they are."""
    hidden, cell, size = args[4], args[5], args[9]
    states = x.new_zeros((*x.shape[:2], size))
    return states, hidden.clone(), cell.clone(), x.new_empty(0, dtype=torch.uint8)


#: How many of the arguments must have elements, and what is done where one has none.
_WITHOUT: dict[str, tuple[int, Callable[..., Any]]] = {
    "aten._scaled_dot_product_flash_attention_for_cpu.default": (3, _attention),
    "aten.mkldnn_rnn_layer.default": (1, _lstm),
}
