"""Joining: a concatenation of pieces of one size is a choice between them."""

from __future__ import annotations

import torch
from torch import fx

from gint.host.frontend import Value

from ..graph.indexing import Index, SplitNeededError
from ..graph.nodes import Graph, NodeKind, tensor_of
from .emitter import Context
from .rules import NotLowerableError, lowered_where, lowers

aten = torch.ops.aten

#: Every piece is computed everywhere and one chosen; more pieces than this had better be copied.
_MAX_PIECES = 3


@lowered_where(aten.cat.default)
def _fuses(node: fx.Node, graph: Graph) -> bool:
    """A concatenation of a few computed pieces of one size along a dimension, as rotary embeddings
    have it."""
    pieces = node.args[0]
    dim = node.args[1] if len(node.args) > 1 else 0
    sizes = {tensor_of(p).shape for p in pieces}
    if len(pieces) > _MAX_PIECES or len(sizes) != 1 or not tensor_of(node).shape:
        return False
    length = next(iter(sizes))[dim]
    computed = any(graph.kinds[p] is NodeKind.COMPUTE for p in pieces)
    return isinstance(length, int) and length > 1 and computed


@lowers(aten.cat.default)
def _cat(c: Context) -> Value:
    pieces, dim = c.argument(0, "tensors"), c.argument(1, "dim", 0)
    dim %= len(c.map)
    length = tensor_of(pieces[0]).shape[dim]
    index, b = c.map[dim], c.builder
    outer, inner = [], []
    if index.computed is not None:
        c.block()
    for axis, coefficient in index.terms:
        extent = c.emitter.domain.extents[axis]
        if not isinstance(coefficient, int) or not isinstance(extent, int) or coefficient < 0:
            raise NotLowerableError("a concatenation along a symbolic dimension")
        if coefficient % length == 0:
            outer.append((axis, coefficient // length))
        elif coefficient * extent <= length:
            inner.append((axis, coefficient))
        elif length % coefficient == 0 and extent % (length // coefficient) == 0:
            raise SplitNeededError(axis, length // coefficient)
        else:
            c.block()
    first, start = divmod(index.offset, length)
    if inner and start + sum(k * (c.emitter.domain.extents[a] - 1) for a, k in inner) >= length:
        c.block()
    at = (*c.map[:dim], Index(start, tuple(inner)), *c.map[dim + 1 :])
    which = c.position(Index(first, tuple(outer)))
    if not outer:
        return b.cast(c.value(pieces[first], at), c.dtype)
    value = b.cast(c.value(pieces[-1], at), c.dtype)
    for number in range(len(pieces) - 2, -1, -1):
        value = b.where(which == number, b.cast(c.value(pieces[number], at), c.dtype), value)
    return value
