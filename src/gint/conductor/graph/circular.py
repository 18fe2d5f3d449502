"""Circular pads: found in what `pad(mode="circular")` is traced as, and made one operator.

That is memory without values into which the tensor is written, and then pieces of what is written
there: all in all one tensor at other positions.

Knows FX nodes and their shapes. Does not know what becomes of an operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import fx

from .nodes import TensorInfo, find_tensor

aten = torch.ops.aten

#: Positions are looked at one by one: of longer dimensions a pad stays as it is traced.
_LONGEST = 1 << 14
_UNSET = (aten.empty.memory_format, aten.new_empty.default)


def find_circular_pads(graph: fx.Graph) -> None:
    """Replace what is one tensor, again and again along some dimensions, by a pad of it."""
    targets = {n.target for n in graph.nodes}
    if aten.slice_scatter.default in targets and not targets.isdisjoint(_UNSET):
        _find_circular(graph)
        graph.eliminate_dead_code()


class _Placed(NamedTuple):
    """A value whose elements are those of `source` at positions, of each dimension its own; None
    where it has no value."""

    source: fx.Node | None
    positions: tuple[Sequence[int | None], ...]


def _find_circular(graph: fx.Graph) -> None:
    known: dict[fx.Node, _Placed] = {}
    for node in list(graph.nodes):
        tensor = find_tensor(node)
        if tensor is None or not 3 <= len(tensor.shape) <= 5:
            continue
        if not all(isinstance(n, int) and n <= _LONGEST for n in tensor.shape):
            continue
        known[node] = placed = _placed(node, tensor, known)
        source = placed.source
        if source is None or source is node or node.target is not aten.slice_scatter.default:
            continue
        pads = _circular(find_tensor(source), placed.positions)
        if pads is not None:
            with graph.inserting_before(node):
                pad = graph.call_function(aten._pad_circular.default, (source, pads))
            pad.meta = dict(node.meta)
            node.replace_all_uses_with(pad)
            known[pad] = placed


def _placed(node: fx.Node, tensor: TensorInfo, known: dict[fx.Node, _Placed]) -> _Placed:
    itself = _Placed(node, tuple(range(n) for n in tensor.shape))
    if node.target in _UNSET:
        return _Placed(None, tuple((None,) * n for n in tensor.shape))
    if node.target is aten.copy.default:
        return _copied(node, tensor, known) or itself
    if node.target is aten.slice.Tensor and node.args[0] in known:
        source, positions = known[node.args[0]]
        dim, at = _slice_of(node.args[1:], positions)
        return _along(source, positions, dim, positions[dim][at])
    if node.target is not aten.slice_scatter.default:
        return itself
    base, piece = (known.get(n) for n in node.args[:2])
    if base is None or piece is None or piece.source is None:
        return itself
    dim, at = _slice_of(node.args[2:], base.positions)
    if base.source not in (None, piece.source) or not _agree(base, piece, dim):
        return itself

    along = list(base.positions[dim])
    along[at] = piece.positions[dim]
    return _along(piece.source, piece.positions, dim, tuple(along))


def _copied(node: fx.Node, tensor: TensorInfo, known: dict[fx.Node, _Placed]) -> _Placed | None:
    """What is copied as it is."""
    source = node.args[1]
    found = find_tensor(source) if isinstance(source, fx.Node) else None
    alike = found is not None and (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    return known.get(source) if alike else None


def _along(source: fx.Node | None, positions: tuple, dim: int, along: Sequence) -> _Placed:
    return _Placed(source, (*positions[:dim], along, *positions[dim + 1 :]))


def _agree(base: _Placed, piece: _Placed, dim: int) -> bool:
    """Whether both have the same positions along other dimensions, or one has none at all."""
    pairs = enumerate(zip(base.positions, piece.positions, strict=True))
    return base.source is None or all(_equal(a, b) for d, (a, b) in pairs if d != dim)


def _equal(a: Sequence, b: Sequence) -> bool:
    """A range and a tuple may be."""
    return a == b if type(a) is type(b) else tuple(a) == tuple(b)


def _slice_of(args: Sequence, positions: tuple) -> tuple[int, slice]:
    given: list[Any] = [*args, *(0, None, None, 1)[len(args) :]]
    dim, start, end, step = given
    return dim % len(positions), slice(start, end, step)


def _circular(source: TensorInfo | None, positions: tuple) -> list[int] | None:
    """The pads, the last dimension first, that have these positions; of all but two dimensions, as
    torch wants it."""
    pads: list[int] = []
    if source is None or not 3 <= len(positions) <= 5:
        return None
    for d, (size, at) in enumerate(zip(source.shape, positions, strict=True)):
        if not isinstance(size, int) or not size or None in at or len(at) < size:
            return None
        before = -at[0] % size
        before += size * (before == 0 and len(at) > 2 * size)
        after = len(at) - size - before
        if not 0 <= after <= size or not _equal(
            at, tuple((i - before) % size for i in range(len(at)))
        ):
            return None
        if d < 2 and len(at) != size:
            return None
        pads = ([before, after] if d >= 2 else []) + pads
    return pads if any(pads) else None
