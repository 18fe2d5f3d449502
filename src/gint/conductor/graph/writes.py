"""Writes into a piece of a value: what `out[:, 1:3] = x` is in a functional graph.

    piece = slice(out, 1, 1, 3);  out_1 = slice_scatter(out, x, 1, 1, 3)

A copy of the whole for every piece that is written would be slow: a program stores the piece into
memory where the rest lies already. Of nested pieces (`out[0, 1:3] = x`) the innermost alone is
stored.

Knows nodes and index maps. Does not know programs, nor whose memory the rest lies in.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from .duplicates import returned_values
from .indexing import FIXED, Map
from .nodes import Graph, NodeKind, tensor_of
from .sizes import Key
from .views import selected, sliced

aten = torch.ops.aten

#: Operators, and the views through which they write.
WRITES = {
    aten.slice_scatter.default: aten.slice.Tensor,
    aten.select_scatter.default: aten.select.int,
}


def drop_rewrites(graph: fx.Graph) -> None:
    """Drop writes of what lies there already, as `out[0] += x` ends with one, but for those that
    are returned: they are tensors of their own."""
    kept = returned_values(graph)
    for node in list(graph.nodes):
        if node.target in WRITES and node not in kept and _is_rewrite(node):
            value = node.args[1]
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
            if not value.users:
                graph.erase_node(value)


def _is_rewrite(node: fx.Node) -> bool:
    value = node.args[1]
    if value.target is aten.copy.default:
        value = value.args[1]
    whole, piece = tensor_of(node.args[0]), tensor_of(value)
    is_piece = value.target is WRITES[node.target] and value.args[0] is node.args[0]
    return (
        is_piece
        and whole.dtype == piece.dtype
        and whole.strides == tensor_of(node).strides
        and _arguments(node, 2) == _arguments(value, 1)
    )


def can_be_stored(node: fx.Node) -> bool:
    """Whether a program can do a write: the place is known but for sizes, and the whole lies in
    memory without gaps, of itself or as the piece of another."""
    whole, source = tensor_of(node.args[0]), tensor_of(node.args[1])
    if whole.strides != tensor_of(node).strides or whole.dtype != source.dtype:
        return False
    if _through(node, tuple([FIXED] * len(source.shape))) is None:
        return False
    if _is_dense(whole.shape, whole.strides):
        return True
    user = next(iter(node.users), node)
    return user.target in WRITES and _is_piece_of(user, node) and can_be_stored(user)


def is_write(graph: Graph, node: fx.Node) -> bool:
    """Whether a program stores a piece of the node's value alone."""
    return node.target in WRITES and graph.kinds[node] is NodeKind.COMPUTE


def written(graph: Graph, node: fx.Node) -> fx.Node:
    """What a program stores of a node: its value, or that of the innermost piece of a write."""
    return _nested(graph, node)[-1].args[1] if is_write(graph, node) else node


def is_nested(graph: Graph, node: fx.Node) -> bool:
    """Whether another write stores what this one does."""
    user = next(iter(node.users), node)
    return is_write(graph, node) and is_write(graph, user) and _is_piece_of(user, node)


def place_of(graph: Graph, node: fx.Node, m: Map) -> Map:
    """The map of a node's value for the map of what a program stores of it."""
    if not is_write(graph, node):
        return m
    for write in reversed(_nested(graph, node)):
        found = _through(write, m)
        assert found is not None, f"{write} writes where nobody knows"
        m = found
    return m


def _nested(graph: Graph, write: fx.Node) -> list[fx.Node]:
    """A write and those that are nested in it, the innermost last."""
    found = [write]
    while is_write(graph, inner := found[-1].args[1]) and _is_piece_of(found[-1], inner):
        found.append(inner)
    return found


def _is_piece_of(node: fx.Node, inner: fx.Node) -> bool:
    """Whether a write's value is the same piece of the same whole, with something else written
    there, and nobody else sees that."""
    piece = inner.args[0]
    if node.args[1] is not inner or len(inner.users) != 1:
        return False
    is_piece = piece.target is WRITES[node.target] and piece.args[0] is node.args[0]
    return is_piece and _arguments(node, 2) == _arguments(piece, 1)


def _through(write: fx.Node, m: Map) -> Map | None:
    """The map of the whole for the map of its piece; None where a position is no number."""
    shape = tensor_of(write).shape
    given = _arguments(write, 2)
    if write.target is aten.select_scatter.default:
        return selected(m, given["dim"], given["index"], shape)
    return sliced(m, given["dim"], given["start"], given["step"], shape)


def _arguments(node: fx.Node, first: int) -> dict[str, Any]:
    """The arguments from number `first` on, by name."""
    found: dict[str, Any] = {}
    for n, argument in enumerate(node.target._schema.arguments[first:], first):
        given = node.args[n] if n < len(node.args) else node.kwargs.get(argument.name)
        found[argument.name] = argument.default_value if given is None else given
    return found


def _is_dense(shape: tuple[Key, ...], strides: tuple[Key, ...]) -> bool:
    """Whether there is no gap and no overlap, for all that is known of sizes."""
    rest = [(size, stride) for size, stride in zip(shape, strides, strict=True) if size != 1]
    expected: Key = 1
    while rest:
        fitting = [pair for pair in rest if pair[1] == expected]
        if len(fitting) != 1:
            return 0 in shape
        rest.remove(fitting[0])
        expected = expected * fitting[0][0]
    return True
