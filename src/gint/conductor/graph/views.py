"""View operators: no work, another look at the same memory.

A view of memory that exists is read through the strides its fake tensor shows. A view of a value
that is only being computed is followed by mapping dimensions, where the operator permits it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from .indexing import FIXED, Index, Map, NotAffineError, reshape
from .nodes import tensor_of
from .sizes import Key

aten = torch.ops.aten

_VIEWS = {
    aten.view.default, aten._unsafe_view.default, aten.permute.default, aten.expand.default,
    aten.slice.Tensor, aten.select.int, aten.unsqueeze.default, aten.squeeze.dim,
    aten.squeeze.dims, aten.squeeze.default, aten.transpose.int, aten.t.default,
    aten.alias.default, aten.detach.default, aten.diagonal.default, aten.as_strided.default,
    aten.unfold.default, aten.split.Tensor, aten.split_with_sizes.default, aten.unbind.int,
    aten.view_as_real.default, aten.lift_fresh.default, aten.movedim.int, aten.narrow.default,
}  # fmt: skip


def is_view(target: Any) -> bool:
    return target in _VIEWS


def map_through(node: fx.Node, m: Map, extents: Sequence[Key]) -> Map | None:
    """The map of a view's base for the map `m` of the view, or None where that is not affine.

    `extents` are the lengths of the program's axes. Raises SplitNeededError.
    """
    target = node.args[0].target if node.target is operator.getitem else node.target
    rule = _RULES.get(target)
    try:
        if target in _RESHAPES:
            before, after = _shapes(node)
            return reshape(m, after, before, extents)
        return rule(node, m) if rule else None
    except NotAffineError:
        return None


def viewed(node: fx.Node) -> fx.Node:
    """What a view is a view of; an item of a split is one of what was split."""
    source = node.args[0]
    return source.args[0] if node.target is operator.getitem else source


def _shapes(node: fx.Node) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    return tensor_of(node.args[0]).shape, tensor_of(node).shape


def _permute(node: fx.Node, m: Map) -> Map | None:
    base = list(m)
    for position, dim in enumerate(node.args[1]):
        base[dim % len(m)] = m[position]
    return tuple(base)


def _transpose(node: fx.Node, m: Map) -> Map | None:
    if not m:
        return m
    i, j = (d % len(m) for d in node.args[1:3])
    base = list(m)
    base[i], base[j] = base[j], base[i]
    return tuple(base)


def _t(node: fx.Node, m: Map) -> Map | None:
    return m[::-1]


def _expand(node: fx.Node, m: Map) -> Map | None:
    before, after = _shapes(node)
    m = m[len(after) - len(before) :]
    return tuple(FIXED if s == 1 else a for s, a in zip(before, m, strict=True))


def _same(node: fx.Node, m: Map) -> Map | None:
    return m


def _replace(m: Map, dim: int, index: Index) -> Map:
    return (*m[:dim], index, *m[dim + 1 :])


def _slice(node: fx.Node, m: Map) -> Map | None:
    given = dict(zip(("dim", "start", "end", "step"), node.args[1:], strict=False))
    dim, start, step = given.get("dim", 0), given.get("start"), given.get("step", 1)
    return sliced(m, dim, start, step, _shapes(node)[0])


def sliced(m: Map, dim: int, start: Any, step: Any, before: Sequence[Key]) -> Map | None:
    """The map of a value of shape `before` for the map of its slice."""
    start = 0 if start is None else start
    dim %= len(m)
    size = before[dim]
    if not (isinstance(start, int) and isinstance(step, int)):
        return None
    if start < 0 and not isinstance(size, int):
        return None
    if start < 0:
        start = max(0, start + size)
    if isinstance(size, int):
        start = min(start, size)
    return _replace(m, dim, m[dim].scaled(step, start))


def _select(node: fx.Node, m: Map) -> Map | None:
    dim, index = node.args[1:3]
    return selected(m, dim, index, _shapes(node)[0])


def selected(m: Map, dim: int, index: Any, before: Sequence[Key]) -> Map | None:
    """The map of a value of shape `before` for the map of what lies at one position of it."""
    if not isinstance(index, int):
        return None
    dim %= len(before)
    index = index if index >= 0 else index + before[dim]
    return (*m[:dim], Index(index), *m[dim:])


def _unbind(node: fx.Node, m: Map) -> Map | None:
    parent, item = node.args
    rank = len(tensor_of(parent.args[0]).shape)
    dim = (parent.args[1] if len(parent.args) > 1 else 0) % rank
    return (*m[:dim], Index(item), *m[dim:])


def _split(node: fx.Node, m: Map) -> Map | None:
    parent, item = node.args
    sizes = parent.args[1]
    dim = (parent.args[2] if len(parent.args) > 2 else 0) % len(m)
    before = sizes[:item] if isinstance(sizes, (list, tuple)) else [sizes] * item
    if not all(isinstance(s, int) for s in before):
        return None
    return _replace(m, dim, m[dim].scaled(1, sum(before)))


_RESHAPES = {
    aten.view.default, aten._unsafe_view.default, aten.unsqueeze.default, aten.squeeze.dim,
    aten.squeeze.dims, aten.squeeze.default,
}  # fmt: skip
_RULES = {
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.t.default: _t,
    aten.expand.default: _expand,
    aten.alias.default: _same,
    aten.detach.default: _same,
    aten.lift_fresh.default: _same,
    aten.slice.Tensor: _slice,
    aten.select.int: _select,
    aten.unbind.int: _unbind,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split,
}
