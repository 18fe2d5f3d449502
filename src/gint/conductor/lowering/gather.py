"""Indexing by tensor: what a map cannot say is read at positions that the program computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx

from gint.host.frontend import Value
from gint.isa.limits import MAX_INDICES

from ..graph.indexing import FIXED, Index, Map
from ..graph.nodes import Graph, tensor_of
from ..graph.sizes import Key
from .emitter import Context
from .rules import lowered_where, lowers

aten = torch.ops.aten

_INDEX = (aten.index.Tensor, aten._unsafe_index.Tensor)
#: Of operands that are not negative they make no negative number.
_KEEP_SIGNS = (
    aten.add.Tensor, aten.mul.Tensor, aten.view.default, aten.unsqueeze.default, aten.floor.default,
)  # fmt: skip
#: A number that does not fit these is no position either.
_WIDE = (torch.int64, torch.int32, torch.float32, torch.float64)
_DEEPEST = 8
_ONE = (aten.embedding.default, aten.index_select.default, aten.gather.default)


@lowered_where(*_ONE)
def _has_a_dimension(node: fx.Node, graph: Graph) -> bool:
    return _is_checked(graph) and bool(tensor_of(node.args[0]).shape)


@lowered_where(*_INDEX)
def _has_positions(node: fx.Node, graph: Graph) -> bool:
    """Masks make results whose size is known when they have run."""
    given = [tensor_of(n).dtype for n in node.args[1] if n is not None]
    return (
        _is_checked(graph)
        and 0 < len(given) <= MAX_INDICES
        and not {torch.bool, torch.uint8} & set(given)
    )


def _is_checked(graph: Graph) -> bool:
    """Whether a launch can say at once that a position was outside: elsewhere a plan that asks
    would wait for the device, and could not be captured."""
    return graph.device == "cpu"


@lowers(aten.embedding.default)
def _embedding(c: Context) -> Value:
    table, tokens = c.argument(0, "weight"), c.argument(1, "indices")
    position = c.value(tokens, c.map[:-1])
    return c.memory(table, (c.computed(position), c.map[-1]))


@lowers(aten.index_select.default)
def _index_select(c: Context) -> Value:
    dim, index = c.argument(1, "dim") % len(c.map), c.argument(2, "index")
    position = c.value(index, c.map[dim : dim + 1] if tensor_of(index).shape else ())
    return c.memory(c.argument(0, "self"), _replaced(c.map, dim, c.computed(position)))


@lowers(aten.gather.default)
def _gather(c: Context) -> Value:
    source, dim, index = c.argument(0, "self"), c.argument(1, "dim"), c.argument(2, "index")
    at = c.map or (FIXED,)  # one element may be picked by an index without dimensions
    position = c.value(index, c.map)
    return c.memory(source, _replaced(at, dim % len(at), c.computed(position)))


@lowers(*_INDEX, beyond=True)
def _index(c: Context) -> Value:
    """The dimensions of all indices, which are broadcast, come where the first one stands; in front
    if others lie between them."""
    source, indices = c.argument(0, "self"), list(c.argument(1, "indices"))
    sizes = tensor_of(source).shape
    indices += [None] * (len(sizes) - len(indices))
    given = [d for d, index in enumerate(indices) if index is not None]
    rank = max(len(tensor_of(indices[d]).shape) for d in given)
    is_together = given[-1] - given[0] == len(given) - 1
    first = given[0] if is_together else 0
    shared, rest = c.map[first : first + rank], list(c.map[:first] + c.map[first + rank :])
    at: list[Index] = []
    for size, index in zip(sizes, indices, strict=True):
        at.append(rest.pop(0) if index is None else _wrapped(c, index, shared, size))
    return c.memory(source, tuple(at))


def _wrapped(c: Context, index: fx.Node, m: Map, size: Key) -> Index:
    """Positions from an index that counts from the end where it is negative."""
    b = c.builder
    value = b.cast(c.value(index, _last_of(m, tensor_of(index).shape)), "i64")
    if _is_not_negative(index):
        return c.computed(value)
    return c.computed(b.where(value < 0, value + c.emitter.size(size), value))


def _is_not_negative(value: object, depth: int = 0) -> bool:
    """Whether a number or an integer tensor is known to have no negative element."""
    if not isinstance(value, fx.Node):
        return isinstance(value, (int, float)) and value >= 0
    if depth > _DEEPEST:
        return False

    def holds(argument: object) -> bool:
        return _is_not_negative(argument, depth + 1)

    if value.target is aten.clamp.default:
        x, low, high = (*value.args, None, None)[:3]
        return holds(x if low is None else low) and (high is None or holds(high))
    if value.target in _KEEP_SIGNS and tensor_of(value).dtype.itemsize >= 4 and not value.kwargs:
        return all(holds(a) for a in value.args[:2] if isinstance(a, (fx.Node, int, float)))
    if value.target is aten._to_copy.default:
        return tensor_of(value).dtype in _WIDE and holds(value.args[0])
    return value.target is aten.arange.default


def _last_of(m: Map, shape: Sequence[Key]) -> Map:
    """The map of a value of this shape that is broadcast to one at `m`."""
    m = m[len(m) - len(shape) :]
    return tuple(FIXED if s == 1 else i for s, i in zip(shape, m, strict=True))


def _replaced(m: Map, dim: int, index: Index) -> Map:
    return (*m[:dim], index, *m[dim + 1 :])
