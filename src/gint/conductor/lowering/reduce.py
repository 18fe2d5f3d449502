"""Reductions, and what is made of them: softmax, the norms, variances."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import torch
from torch import fx

from gint.host.frontend import Value
from gint.isa import DType, dtype
from gint.isa.dtypes import Kind

from ..graph.indexing import Map
from ..graph.nodes import tensor_of
from .emitter import Context
from .rules import lowers

aten = torch.ops.aten


#: The opcode that folds two values, for every reduction.
_OF_TWO = {"sum": "add", "prod": "mul", "amax": "maximum", "amin": "minimum"}
#: An order of two values, for reductions that find a position: which one comes first.
_BEFORE = {"argmax": "gt", "argmin": "lt"}


class Reduction:
    """One reduction of `source` over `dims`, seen from a node at a map over what is kept.

    What is folded is a function of the source's map. There is one map, which runs along reduced
    axes, or, where there are few values to fold, one for each of them.
    """

    def __init__(
        self, c: Context, source: fx.Node, dims: list[int], kept: Map, loops: bool = False
    ) -> None:
        """`loops`: there is one map, however few the values."""
        self.c, self.source, self.dims = c, source, dims
        self.shape = tensor_of(source).shape
        self.folds = any(self.shape[d] != 1 for d in dims)
        self.maps = c.emitter.reduction_maps(c.node, self.shape, dims, kept, loops)

    def value(self, at: Map) -> Value:
        """What is reduced, in the compute type of the result."""
        c = self.c
        return c.builder.cast(c.value(self.source, at), c.dtype)

    def fold(self, name: str, of: Callable[[Map], Value]) -> Value:
        """Fold with opcode `name`; over dimensions of size 1 a fold is the value itself."""
        values = self._values(of)
        if self.folds and len(values) == 1:
            return self.c.builder.emit(name, *values)
        return reduce(partial(self.c.builder.emit, _OF_TWO[name]), values)

    def arg(self, name: str) -> Value:
        """The row-major position of the first extreme within the reduced dimensions, i64; that of
        the first NaN, if there is one."""
        b, c = self.c.builder, self.c
        values = self._values(lambda at: c.value(self.source, at))
        if len(values) == 1:
            position = self._position(self.maps[0])
            return b.emit(name, *values, position) if self.folds else position
        best, found = values[0], b.const(0, "i64")
        for n, value in enumerate(values[1:], 1):
            comes = b.emit(_BEFORE[name], value, best)
            if value.type.kind is Kind.FLOAT:
                comes = (comes | b.isnan(value)) & ~b.isnan(best)
            best, found = b.where(comes, value, best), b.where(comes, b.const(n, "i64"), found)
        return found

    def _values(self, of: Callable[[Map], Value]) -> list[Value]:
        with self.c.emitter.repeating(len(self.maps)):
            return [of(at) for at in self.maps]

    def count(self, t: DType) -> Value:
        """How many elements are folded into one."""
        b, product = self.c.builder, None
        if len(self.maps) > 1:
            return b.const(len(self.maps), t)
        for d in self.dims:
            for axis in self.maps[0][d].axes:
                extent = b.extent(axis)
                product = extent if product is None else product * extent
        return b.const(1, t) if product is None else b.cast(product, t)

    def mean(self, of: Callable[[Map], Value]) -> Value:
        total = self.fold("sum", of)
        return total / self.count(total.type)

    def _position(self, at: Map) -> Value:
        """The row-major position within the reduced dimensions, i64."""
        b, position = self.c.builder, None
        for d in self.dims:
            axes = at[d].axes
            if not axes:
                continue
            along = self.c.position(at[d])
            if position is not None:
                for axis in axes:
                    position = position * b.extent(axis)
                along = position + along
            position = along
        return b.const(0, "i64") if position is None else position


def _dims(arg: object, rank: int) -> list[int]:
    """Normalised, sorted dimensions; None and an empty list mean all of them."""
    if arg is None or arg == []:
        return list(range(rank))
    listed: Any = arg if isinstance(arg, (list, tuple)) else [arg]
    return sorted(d % rank for d in listed) if rank else []


def _reduction(c: Context, dims: object, keepdim: bool, is_plain: bool = False) -> Reduction:
    """The reduction whose result the context's node is. If `is_plain`, the source is folded as it
    is: of more than two values in memory, with nothing else to do, a loop over them is quicker."""
    source = c.argument(0, "self")
    rank = len(tensor_of(source).shape)
    reduced = _dims(dims, rank)
    kept = tuple(a for d, a in enumerate(c.map) if not (keepdim and d in reduced))
    emitter = c.emitter
    is_alone = len(emitter.members) == 1 and emitter.is_loaded(emitter.graph.base(source))
    sizes = [tensor_of(source).shape[d] for d in reduced]
    loops = is_plain and is_alone and any(size not in (1, 2) for size in sizes)
    return Reduction(c, source, reduced, kept, loops)


def _simple(name: str, dim_position: int | None, cast: Callable[[Context], DType]):
    """sum, prod, amax ...: a fold over the dimensions argument number `dim_position` names."""

    def rule(c: Context) -> Value:
        dims = None if dim_position is None else c.argument(dim_position, "dim")
        keepdim = bool(dim_position and c.argument(dim_position + 1, "keepdim", False))
        r, t = _reduction(c, dims, keepdim, True), cast(c)
        return r.fold(name, lambda at: c.builder.cast(c.value(r.source, at), t))

    return rule


def _as_result(c: Context) -> DType:
    return c.dtype


def _as_bool(c: Context) -> DType:
    return dtype("bool")


for _targets, _name, _position, _cast in (
    ((aten.sum.default,), "sum", None, _as_result),
    ((aten.sum.dim_IntList,), "sum", 1, _as_result),
    ((aten.prod.default,), "prod", None, _as_result),
    ((aten.prod.dim_int,), "prod", 1, _as_result),
    ((aten.amax.default,), "amax", 1, _as_result),
    ((aten.amin.default,), "amin", 1, _as_result),
    ((aten.max.default,), "amax", None, _as_result),
    ((aten.min.default,), "amin", None, _as_result),
    ((aten.any.default,), "amax", None, _as_bool),
    ((aten.any.dim, aten.any.dims), "amax", 1, _as_bool),
    ((aten.all.default,), "amin", None, _as_bool),
    ((aten.all.dim, aten.all.dims), "amin", 1, _as_bool),
):
    lowers(*_targets, uses=(_name,))(_simple(_name, _position, _cast))


@lowers(aten.mean.default, uses=("sum",))
def _mean_all(c: Context) -> Value:
    r = _reduction(c, None, False, True)
    return r.mean(r.value)


@lowers(aten.mean.dim, uses=("sum",))
def _mean(c: Context) -> Value:
    r = _reduction(c, c.argument(1, "dim"), c.argument(2, "keepdim", False), True)
    return r.mean(r.value)


@lowers(aten.nansum.default, uses=("sum",))
def _nansum(c: Context) -> Value:
    r = _reduction(c, c.argument(1, "dim"), c.argument(2, "keepdim", False))
    if c.dtype.kind is not Kind.FLOAT:
        return r.fold("sum", r.value)
    return r.fold("sum", lambda at: c.builder.nan_to_zero(r.value(at)))


@lowers(aten.linalg_vector_norm.default, uses=("sum", "amax", "amin", "pow"))
def _vector_norm(c: Context) -> Value:
    order = c.argument(1, "ord", 2)
    r = _reduction(c, c.argument(2, "dim"), c.argument(3, "keepdim", False))
    b = c.builder
    if order == 2:
        return b.sqrt(r.fold("sum", lambda at: r.value(at) * r.value(at)))
    if order == 0:
        return r.fold("sum", lambda at: b.cast(b.ne(abs(r.value(at)), 0.0), c.dtype))
    if abs(order) == math.inf:
        return r.fold("amax" if order > 0 else "amin", lambda at: abs(r.value(at)))
    if order == 1:
        return r.fold("sum", lambda at: abs(r.value(at)))
    return r.fold("sum", lambda at: abs(r.value(at)) ** float(order)) ** (1 / order)


@lowers(aten.argmax.default, uses=("argmax",))
def _argmax(c: Context) -> Value:
    return _arg(c, "argmax", c.argument(1, "dim"), c.argument(2, "keepdim", False))


@lowers(aten.argmin.default, uses=("argmin",))
def _argmin(c: Context) -> Value:
    return _arg(c, "argmin", c.argument(1, "dim"), c.argument(2, "keepdim", False))


def _arg(c: Context, name: str, dims: object, keepdim: bool) -> Value:
    return _reduction(c, dims, keepdim).arg(name)


@lowers(aten.max.dim, uses=("amax", "argmax"))
def _max_dim(c: Context) -> Value:
    return _extreme(c, ("amax", "argmax"))


@lowers(aten.min.dim, uses=("amin", "argmin"))
def _min_dim(c: Context) -> Value:
    return _extreme(c, ("amin", "argmin"))


def _extreme(c: Context, names: tuple[str, str]) -> Value:
    dim, keepdim = c.argument(1, "dim"), c.argument(2, "keepdim", False)
    if c.item == 1:
        return _arg(c, names[1], dim, keepdim)
    r = _reduction(c, dim, keepdim)
    return r.fold(names[0], r.value)


@lowers(aten.var.correction, uses=("sum",))
def _var(c: Context) -> Value:
    return _variance(c, c.argument(1, "dim"), 0)


@lowers(aten.var_mean.correction, uses=("sum",))
def _var_mean(c: Context) -> Value:
    return _variance(c, c.argument(1, "dim"), c.item)


def _variance(c: Context, dims: object, item: int) -> Value:
    correction = c.op_node.kwargs.get("correction", 1)
    correction = 1 if correction is None else correction
    r = _reduction(c, dims, c.op_node.kwargs.get("keepdim", False))
    mean = r.mean(r.value)
    if item == 1:
        return mean

    def square(at: Map) -> Value:
        difference = r.value(at) - mean
        return difference * difference

    degrees = r.count(c.dtype) - float(correction)
    degrees = c.builder.maximum(degrees, 0.0)
    return r.fold("sum", square) / degrees


# Rows: a node as long as its source, made of reductions of it


def _row(c: Context, source: fx.Node, dims: list[int]) -> Reduction:
    kept = tuple(a for d, a in enumerate(c.map) if d not in dims)
    r = Reduction(c, source, dims, kept, loops=not _runs_on(source, dims))
    if len(r.maps) == 1 and r.maps[0] != c.map:
        c.block()
    return r


def _runs_on(source: fx.Node, dims: list[int]) -> bool:
    """Whether neighbours in memory are in one row. Where they are not, a loop goes along whole
    lines, and each value of a row is computed once, not once for every value it is beside."""
    tensor = tensor_of(source)
    steps = [(s, d) for d, s in enumerate(tensor.strides) if tensor.shape[d] != 1]
    return all(isinstance(s, int) for s, _ in steps) and bool(steps) and min(steps)[1] in dims


def row_along(c: Context, source: fx.Node, dim: object) -> Reduction:
    rank = len(tensor_of(source).shape)
    return _row(c, source, _dims(dim, rank) if rank else [])


@lowers(aten._softmax.default, uses=("amax", "exp", "sum"))
def _softmax(c: Context) -> Value:
    r = row_along(c, c.argument(0, "self"), c.argument(1, "dim"))
    largest = r.fold("amax", r.value)
    return _share(c, r, largest)


def _share(c: Context, r: Reduction, largest: Value) -> Value:
    """The exponential of what lies below the largest, as a part of all of them."""

    def power(at: Map) -> Value:
        return c.builder.exp(r.value(at) - largest)

    return power(c.map) / r.fold("sum", power)


@lowers(aten._safe_softmax.default, uses=("amax", "exp", "sum"))
def _safe_softmax(c: Context) -> Value:
    """Zeros, not NaN, for a row of nothing but -inf."""
    r = row_along(c, c.argument(0, "self"), c.argument(1, "dim"))
    largest = r.fold("amax", r.value)
    return c.builder.where(largest == -math.inf, c.operand(0.0), _share(c, r, largest))


@lowers(aten._log_softmax.default, uses=("amax", "exp", "sum", "log"))
def _log_softmax(c: Context) -> Value:
    r = row_along(c, c.argument(0, "self"), c.argument(1, "dim"))
    largest = r.fold("amax", r.value)
    total = r.fold("sum", lambda at: c.builder.exp(r.value(at) - largest))
    return r.value(c.map) - largest - c.builder.log(total)


@lowers(aten._softmax_backward_data.default, uses=("sum",))
def _softmax_backward(c: Context) -> Value:
    grad_node, out_node, dim = c.op_node.args[:3]
    r = row_along(c, grad_node, dim)

    def weighed(at: Map) -> Value:
        return r.value(at) * c.builder.cast(c.value(out_node, at), c.dtype)

    return (r.value(c.map) - r.fold("sum", weighed)) * c.operand(out_node)


@lowers(aten.native_layer_norm.default, uses=("sum", "rsqrt"))
def _layer_norm(c: Context) -> Value:
    _, shape, weight, bias, eps = c.op_node.args
    r, value = _trailing(c, len(shape))
    mean = r.mean(value)
    if c.item == 1:
        return mean

    def square(at: Map) -> Value:
        difference = value(at) - mean
        return difference * difference

    rstd = c.builder.rsqrt(r.mean(square) + eps)
    if c.item == 2:
        return rstd
    y = (value(c.map) - mean) * rstd
    y = y if weight is None else y * c.operand(weight)
    return y if bias is None else y + c.operand(bias)


@lowers(aten._fused_rms_norm.default, uses=("sum", "rsqrt"))
def _rms_norm(c: Context) -> Value:
    source, shape, weight, eps = c.op_node.args
    eps = torch.finfo(tensor_of(source).dtype).eps if eps is None else eps
    r, value = _trailing(c, len(shape))
    rstd = c.builder.rsqrt(r.mean(lambda at: value(at) * value(at)) + eps)
    if c.item == 1:
        return rstd
    y = value(c.map) * rstd
    return y if weight is None else y * c.operand(weight)


def _trailing(c: Context, count: int) -> tuple[Reduction, Callable[[Map], Value]]:
    """The reduction over the last `count` dimensions, for an item as long as its source (item 0)
    or with those dimensions of size 1 (the statistics); and the source's values, as they are."""
    source = c.argument(0, "input")
    rank = len(tensor_of(source).shape)
    dims = list(range(rank - count, rank))
    r = _row(c, source, dims) if c.item == 0 else Reduction(c, source, dims, c.map[: rank - count])
    return r, lambda at: c.value(source, at)
