"""View operators: no work, another look at the same memory.

A view of memory that exists is read through the strides its fake tensor shows. A view of a value
that is only being computed is followed by mapping dimensions, where the operator permits it.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from .sizes import Key, keys

aten = torch.ops.aten

#: For each dimension of a value: the axis of the program it runs along, None where its size is 1.
Map = tuple[int | None, ...]

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


def map_through(node: fx.Node, m: Map) -> Map | None:
    """The map of a view's base for the map `m` of the view, or None where dimensions do not map."""
    if node.target is operator.getitem:
        return None
    rule = _RULES.get(node.target)
    return rule(node, m) if rule else None


def _shapes(node: fx.Node) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    return keys(node.args[0].meta["val"].shape), keys(node.meta["val"].shape)


def _reshape(node: fx.Node, m: Map) -> Map | None:
    """Dimensions that are not 1 must be the same on both sides, in order."""
    before, after = _shapes(node)
    if [s for s in before if s != 1] != [s for s in after if s != 1]:
        return None
    axes = iter([a for a, s in zip(m, after, strict=True) if s != 1])
    return tuple(None if s == 1 else next(axes) for s in before)


def _permute(node: fx.Node, m: Map) -> Map | None:
    rank = len(m)
    order = [d % rank for d in node.args[1]]
    base: list[int | None] = [None] * rank
    for position, dim in enumerate(order):
        base[dim] = m[position]
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
    return tuple(None if s == 1 else a for s, a in zip(before, m, strict=True))


def _same(node: fx.Node, m: Map) -> Map | None:
    return m


_RULES = {
    aten.view.default: _reshape,
    aten._unsafe_view.default: _reshape,
    aten.unsqueeze.default: _reshape,
    aten.squeeze.dim: _reshape,
    aten.squeeze.dims: _reshape,
    aten.squeeze.default: _reshape,
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.t.default: _t,
    aten.expand.default: _expand,
    aten.alias.default: _same,
    aten.detach.default: _same,
    aten.lift_fresh.default: _same,
}
