"""Padding, and gradients of slices: a tensor of one value but for a piece, which lies in memory.

Positions along a dimension are read where the piece has them; the value stands for what is outside.
So it is where a piece is written into a copy, if sizes are symbolic (of known sizes that is copied,
`graph/into.py`): outside is what is copied.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from gint.host.frontend import Value
from gint.isa import dtype

from ..graph.indexing import FIXED, Index
from ..graph.into import is_copy
from ..graph.nodes import Graph, find_tensor, tensor_of
from ..graph.sizes import Key
from .emitter import Context
from .rules import NotLowerableError, lowered_where, lowers

aten = torch.ops.aten

_FILLED = (aten.fill.Scalar, aten.fill.Tensor, aten.full.default, aten.zeros.default)


@lowers(aten.slice_backward.default)
def _slice_backward(c: Context) -> Value:
    """The gradient from `start` on. Only of steps of 1 (trace/decompositions.py)."""
    piece, dim, start = c.argument(0, "grad_output"), c.argument(2, "dim"), c.argument(3, "start")
    if c.argument(5, "step") != 1 or not isinstance(start, int):
        raise NotLowerableError("the gradient of a slice whose start and step are not known to fit")
    at = list(c.map)
    at[dim] = c.computed(c.position(at[dim].scaled(1, -start)), 0)
    return c.memory(piece, tuple(at))


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


@lowered_where(aten.slice_scatter.default, aten.select_scatter.default)
def _is_written_in_part(node: fx.Node, graph: Graph) -> bool:
    whole, piece = (find_tensor(n) for n in node.args[:2])
    alike = whole is not None and piece is not None and whole.dtype == piece.dtype
    step = node.args[5] if len(node.args) > 5 else 1
    return graph.device == "cpu" and alike and step == 1 and not node.kwargs and not is_copy(node)


@lowers(aten.select_scatter.default)
def _select_scatter(c: Context) -> Value:
    whole, piece, dim, index = c.op_node.args
    dim %= len(c.map)
    here = c.position(c.map[dim]) == _from_start(c, index, tensor_of(whole).shape[dim])
    value = c.value(piece, (*c.map[:dim], *c.map[dim + 1 :]))
    return c.builder.where(here, value, c.value(whole, c.map))


@lowers(aten.slice_scatter.default)
def _slice_scatter(c: Context) -> Value:
    whole, piece = c.op_node.args[:2]
    dim = c.argument(2, "dim", 0) % len(c.map)
    size, length = (tensor_of(n).shape[dim] for n in (whole, piece))
    start = c.argument(3, "start")
    begin = _from_start(c, 0 if start is None else start, size)
    at = c.position(c.map[dim])
    here = (at >= begin) & (at < begin + c.emitter.size(length))
    if _is_number(c, piece):
        sizes = tensor_of(piece).shape
        at_all = (FIXED if n == 1 else i for n, i in zip(sizes, c.map, strict=True))
        value = c.value(piece, tuple(at_all))
    else:
        moved = _moved(c, c.map[dim], start, begin)
        value = c.memory(piece, (*c.map[:dim], c.computed(moved, 0), *c.map[dim + 1 :]))
    return c.builder.where(here, value, c.value(whole, c.map))


def _moved(c: Context, at: Index, start: Any, begin: Value) -> Value:
    """A position, counted from where a piece begins."""
    known = start is None or (isinstance(start, int) and start >= 0)
    if known and at.computed is None:
        return c.position(at.scaled(1, -(start or 0)))
    return c.position(at) - begin


def _from_start(c: Context, index: int | torch.SymInt | fx.Node, size: Key) -> Value:
    """Where an index lies that counts from the end if it is negative; within the size."""
    b, end = c.builder, c.emitter.size(size)
    at = c.emitter.number(index, dtype("i64"))
    if isinstance(index, int):
        return at if index >= 0 else b.maximum(at + end, 0)
    return b.where(at < 0, b.maximum(at + end, 0), at)


def _is_number(c: Context, piece: fx.Node) -> bool:
    """Whether a value is one number everywhere, and is no tensor of them in memory."""
    tensor = tensor_of(piece)
    if all(n == 1 or stride == 0 for n, stride in zip(tensor.shape, tensor.strides, strict=True)):
        return True
    if c.emitter.is_loaded(c.emitter.graph.base(piece)):
        return False
    return piece.target in _FILLED
