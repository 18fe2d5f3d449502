"""Scans along one dimension: running sums, products and extremes."""

from __future__ import annotations

import torch
from torch import fx

from gint.host.frontend import Value
from gint.isa.dtypes import Kind

from ..graph.indexing import ReversalNeededError, along
from ..graph.nodes import Graph, tensor_of
from .emitter import BlockedError, Context
from .rules import lowered_where, lowers

aten = torch.ops.aten

_TARGETS = (
    aten.cumsum.default, aten.cumprod.default, aten.cummax.default, aten.cummin.default,
    aten.logcumsumexp.default,
)  # fmt: skip


@lowered_where(*_TARGETS)
def _has_lines(node: fx.Node, graph: Graph) -> bool:
    """On other devices a row of a scan has one thread: ATen's own kernels are faster."""
    return graph.device == "cpu"


class _Line:
    """The source of a scan, whose dimension runs along the program's reduced axis."""

    def __init__(self, c: Context) -> None:
        self.c = c
        source, dim = c.argument(0, "self"), c.argument(1, "dim")
        shape = tensor_of(source).shape
        self.has_dimensions = bool(shape)
        self.axis = self._axis(source, dim % len(shape)) if shape else None
        self.value = c.value(source, c.map)

    def _axis(self, source: fx.Node, dim: int) -> int | None:
        """The axis, or None where there is one position along it."""
        c, shape = self.c, tensor_of(source).shape
        if shape[dim] == 1:
            return None
        kept = tuple(index for d, index in enumerate(c.map) if d != dim)
        m = c.emitter.reduction_map(c.node, shape, [dim], kept)
        if m[dim].axes != c.map[dim].axes:
            c.block()
        if len(m[dim].axes) > 1:  # the source is split, unless it is what reads this scan
            base = c.emitter.graph.base(source)
            is_loaded = c.emitter.is_loaded(base)
            raise BlockedError(c.node if is_loaded or len(c.emitter.members) > 1 else base)
        (axis,) = m[dim].axes
        if c.map[dim] == along(axis):
            return axis
        forwards = along(axis)
        if m[dim] == forwards and c.map[dim] == forwards.scaled(-1, shape[dim] - 1):
            raise ReversalNeededError(axis)  # it goes from the end, and so may the program
        c.block()
        return None

    def scan(self, name: str, value: Value) -> Value:
        return value if self.axis is None else self.c.builder.emit(name, value)


@lowers(aten.cumsum.default, uses=("cumsum",))
def _cumsum(c: Context) -> Value:
    line = _Line(c)
    x = c.builder.cast(line.value, c.dtype)
    if line.axis is None and line.has_dimensions and x.type.kind is Kind.FLOAT:
        return x + 0.0  # sums begin with 0.0, which -0.0 then becomes
    return line.scan("cumsum", x)


@lowers(aten.cumprod.default, uses=("cumprod",))
def _cumprod(c: Context) -> Value:
    line = _Line(c)
    return line.scan("cumprod", c.builder.cast(line.value, c.dtype))


@lowers(aten.logcumsumexp.default, uses=("logcumsumexp",))
def _logcumsumexp(c: Context) -> Value:
    line = _Line(c)
    return line.scan("logcumsumexp", c.builder.cast(line.value, c.dtype))


@lowers(aten.cummax.default, uses=("cummax",))
def _cummax(c: Context) -> Value:
    return _extreme(c, "cummax")


@lowers(aten.cummin.default, uses=("cummin", "cummax"))
def _cummin(c: Context) -> Value:
    return _extreme(c, "cummin")


def _extreme(c: Context, name: str) -> Value:
    """Item 1 is the last position so far at which an element equals the extreme so far, or is NaN:
    the largest such position."""
    b, line = c.builder, _Line(c)
    x = line.value
    found = line.scan(name, x)
    if c.item == 0:
        return found
    if line.axis is None:
        return b.const(0, "i64")
    is_extreme = b.eq(x, found)
    if x.type.kind is Kind.FLOAT:
        is_extreme = is_extreme | b.isnan(x)
    return b.cummax(b.where(is_extreme, b.index(line.axis), 0))
