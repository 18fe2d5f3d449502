"""Padding, gradients of slices, diagonals: one value but for a piece, which lies in memory.

Positions along a dimension are read where the piece has them; the value stands for what is outside.
"""

from __future__ import annotations

import torch
from torch import fx

from gint.host.frontend import Value

from ..graph.nodes import Graph, tensor_of
from .emitter import Context
from .rules import NotLowerableError, lowered_where, lowers

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


@lowers(aten.diag_embed.default)
def _diag_embed(c: Context) -> Value:
    """A vector as the diagonal `offset` places above the main one of a matrix of zeros.

    The position along the vector moves on by a whole line of the matrix with every place beside the
    diagonal: there it is outside.
    """
    source, offset, rank = c.argument(0, "self"), c.argument(1, "offset", 0), len(c.map)
    row, column = (c.argument(n, f"dim{n - 1}", n - 4) % rank for n in (2, 3))
    if not isinstance(offset, int):
        raise NotLowerableError("a diagonal at an offset that is not known")
    i, j = c.position(c.map[row]), c.position(c.map[column])
    beside = j - i - offset
    along = (i if offset >= 0 else j) + beside * c.emitter.size(c.tensor.shape[row])
    batch = [index for d, index in enumerate(c.map) if d not in (row, column)]
    return c.memory(source, (*batch, c.computed(along, 0)))


@lowered_where(aten.constant_pad_nd.default)
def _pads_by_numbers(node: fx.Node, graph: Graph) -> bool:
    """On the CPU, by a number, where it is known how many elements are added, and elements that
    follow one another stay together: ATen is quicker at lines with something before and after."""
    source, pad = tensor_of(node.args[0]), node.args[1]
    value = node.args[2] if len(node.args) > 2 else 0
    numbers = (*pad, *source.shape, *source.strides)
    if graph.device != "cpu" or not all(isinstance(n, int) for n in numbers) or not any(pad):
        return False
    padded = {len(source.shape) - 1 - k // 2 for k, n in enumerate(pad) if n}
    lines = {d for d, stride in enumerate(source.strides) if stride == 1}
    return isinstance(value, (int, float)) and bool(lines) and not lines & padded


@lowers(aten.constant_pad_nd.default)
def _constant_pad(c: Context) -> Value:
    source, pad, value = c.argument(0, "self"), c.argument(1, "pad"), c.argument(2, "value", 0)
    at = list(c.map)
    for dim, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = -1 - dim
        at[dim] = at[dim].scaled(1, -before)
        if before > 0 or after > 0:
            at[dim] = c.computed(c.position(at[dim]), value)
    return c.memory(source, tuple(at))
