"""What kernels of ATen's believe of the values that they are given, as ATen calls them from
functions that have checked it; a plan from anywhere calls them with anything. What they believe of
sizes and strides gint.plan.believed checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gint.plan.operators import WRITES_FIRST, is_saved_operator
from gint.plan.verifier import PlanError

_BAGS = ("aten._embedding_bag.default", "aten._embedding_bag_forward_only.default")


def checked(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The operator called "aten.mm.default" as a plan may call it. What a check raises is a
    ValueError."""
    if name not in _BAGS:
        return kernel

    def call(weight: torch.Tensor, indices: Any, offsets: Any, *args: Any, **kwargs: Any) -> Any:
        lists = [a.contiguous() for a in (indices, offsets)]
        _check_bags(*lists)
        return kernel(weight, *lists, *args, **kwargs)

    return call


def refuse_writing(name: str, target: torch._ops.OpOverload) -> None:
    """Raise PlanError for an overload that writes where nobody has seen that it may."""
    if target._schema.is_mutable and is_saved_operator(name) and not name.startswith(WRITES_FIRST):
        raise PlanError(f"{name} writes into its arguments; a saved plan allocates its results.")


def _check_bags(indices: torch.Tensor, offsets: torch.Tensor) -> None:
    """Bags one after the other, within the positions."""
    if offsets.dim() != 1 or indices.dim() != 1:
        raise ValueError("Bags are lists of positions, and one of where each begins.")
    if not offsets.numel():
        return
    falls = bool((offsets.diff() < 0).any())
    if falls or int(offsets[0]) < 0 or int(offsets[-1]) > indices.numel():
        raise ValueError(f"Offsets grow from 0 to {indices.numel()}, unlike {offsets.tolist()}.")
