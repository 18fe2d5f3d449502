"""Gradients of slices: a tensor of zeros but for a piece, which lies in memory.

Positions along the dimension are read where the piece has them, and 0 stands for what is outside.
"""

from __future__ import annotations

import torch

from gint.host.frontend import Value

from .emitter import Context
from .rules import NotLowerableError, lowers

aten = torch.ops.aten


@lowers(aten.slice_backward.default)
def _slice_backward(c: Context) -> Value:
    """The gradient from `start` on. Only of steps of 1 (trace/decompositions.py)."""
    piece, dim, start = c.argument(0, "grad_output"), c.argument(2, "dim"), c.argument(3, "start")
    if c.argument(5, "step") != 1 or not isinstance(start, int):
        raise NotLowerableError("the gradient of a slice whose start and step are not known to fit")
    at = list(c.map)
    at[dim] = c.computed(c.position(at[dim].scaled(1, -start)), 0)
    return c.memory(piece, tuple(at))
