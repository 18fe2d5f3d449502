"""Gradients of two halves that are added, as rotary embeddings have them: they are joined.

Each is zeros but for its half. A sum of both reads pieces at positions, for which they must lie in
memory; a join is a choice between values that nobody stores. What differs is the sign of a zero.

Knows FX nodes and their arguments. Does not know what becomes of an operator.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import fx

aten = torch.ops.aten


class _Half(NamedTuple):
    """The gradient of half of something, which `of` tells from others."""

    piece: fx.Node
    dim: int
    of: tuple
    is_first: bool


def join_halves(graph: fx.Graph) -> None:
    """Replace the sum of the gradients of both halves along a dimension by a join."""
    slices = graph.find_nodes(op="call_function", target=aten.slice_backward.default)
    users = dict.fromkeys(user for node in slices for user in node.users)
    sums = [n for n in users if n.target is aten.add.Tensor and not n.kwargs]
    for node in sums:
        joined = _joined(*node.args)
        if joined is not None:
            with graph.inserting_before(node):
                join = graph.call_function(aten.cat.default, joined)
            join.meta = dict(node.meta)
            node.replace_all_uses_with(join)
            graph.erase_node(node)
    if sums:
        graph.eliminate_dead_code()


def _joined(a: object, b: object) -> tuple[list[fx.Node], int] | None:
    """Both halves in order, and along which dimension; None where that is not what they are."""
    one, other = _half(a), _half(b)
    if one is None or other is None or one.of != other.of or one.is_first == other.is_first:
        return None
    low, high = (one, other) if one.is_first else (other, one)
    return [low.piece, high.piece], low.dim


def _half(part: object) -> _Half | None:
    if not isinstance(part, fx.Node) or part.target is not aten.slice_backward.default:
        return None
    piece, sizes, dim, start, end, step = part.args
    size = sizes[dim]
    if not all(isinstance(n, int) for n in (size, start, end)) or step != 1 or size % 2:
        return None
    reach = slice(start, end).indices(size)[:2]
    if reach not in ((0, size // 2), (size // 2, size)):
        return None
    return _Half(piece, dim, (dim, *sizes), reach[0] == 0)
