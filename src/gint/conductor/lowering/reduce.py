"""Reductions, and what is made of them: softmax, the norms, variances."""

from __future__ import annotations

import math
from collections.abc import Callable
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


class Reduction:
    """One reduction of `source` over `dims`, seen from a node at a map over what is kept.

    `map` is the source's map; `fold` folds a value over the reduced dimensions.
    """

    def __init__(self, c: Context, source: fx.Node, dims: list[int], kept: Map) -> None:
        self.c, self.dims = c, dims
        self.shape = tensor_of(source).shape
        self.map = c.emitter.reduction_map(c.node, self.shape, dims, kept)
        self.value = c.value(source, self.map)
        self.folds = any(self.shape[d] != 1 for d in dims)

    def fold(self, name: str, value: Value, *more: Value) -> Value:
        """Fold with opcode `name`; over dimensions of size 1 a fold is the value itself."""
        if not self.folds:
            return more[0] if more else value
        return self.c.builder.emit(name, value, *more)

    def count(self, t: DType) -> Value:
        """How many elements are folded into one."""
        b, product = self.c.builder, None
        for d in self.dims:
            for axis in self.map[d].axes:
                extent = b.extent(axis)
                product = extent if product is None else product * extent
        return b.const(1, t) if product is None else b.cast(product, t)

    def mean(self, value: Value) -> Value:
        return self.fold("sum", value) / self.count(value.type)

    def position(self) -> Value:
        """The row-major position within the reduced dimensions, i64."""
        b, position = self.c.builder, None
        for d in self.dims:
            axes = self.map[d].axes
            if not axes:
                continue
            at = self.c.position(self.map[d])
            if position is not None:
                for axis in axes:
                    position = position * b.extent(axis)
                at = position + at
            position = at
        return b.const(0, "i64") if position is None else position


def _dims(arg: object, rank: int) -> list[int]:
    """Normalised, sorted dimensions; None and an empty list mean all of them."""
    if arg is None or arg == []:
        return list(range(rank))
    listed: Any = arg if isinstance(arg, (list, tuple)) else [arg]
    return sorted(d % rank for d in listed) if rank else []


def _reduction(c: Context, dims: object, keepdim: bool) -> Reduction:
    """The reduction whose result the context's node is."""
    source = c.argument(0, "self")
    rank = len(tensor_of(source).shape)
    reduced = _dims(dims, rank)
    kept = tuple(a for d, a in enumerate(c.map) if not (keepdim and d in reduced))
    return Reduction(c, source, reduced, kept)


def _simple(name: str, dim_position: int | None, cast: Callable[[Context], DType]):
    """sum, prod, amax ...: a fold over the dimensions argument number `dim_position` names."""

    def rule(c: Context) -> Value:
        dims = None if dim_position is None else c.argument(dim_position, "dim")
        keepdim = bool(dim_position and c.argument(dim_position + 1, "keepdim", False))
        r = _reduction(c, dims, keepdim)
        return r.fold(name, c.builder.cast(r.value, cast(c)))

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
    r = _reduction(c, None, False)
    return r.mean(c.builder.cast(r.value, c.dtype))


@lowers(aten.mean.dim, uses=("sum",))
def _mean(c: Context) -> Value:
    r = _reduction(c, c.argument(1, "dim"), c.argument(2, "keepdim", False))
    return r.mean(c.builder.cast(r.value, c.dtype))


@lowers(aten.nansum.default, uses=("sum",))
def _nansum(c: Context) -> Value:
    r = _reduction(c, c.argument(1, "dim"), c.argument(2, "keepdim", False))
    x = c.builder.cast(r.value, c.dtype)
    if x.type.kind is Kind.FLOAT:
        x = c.builder.nan_to_zero(x)
    return r.fold("sum", x)


@lowers(aten.linalg_vector_norm.default, uses=("sum", "amax", "amin", "pow"))
def _vector_norm(c: Context) -> Value:
    order = c.argument(1, "ord", 2)
    r = _reduction(c, c.argument(2, "dim"), c.argument(3, "keepdim", False))
    b, x = c.builder, c.builder.cast(r.value, c.dtype)
    if order == 2:
        return b.sqrt(r.fold("sum", x * x))
    x = abs(x)
    if order == 0:
        return r.fold("sum", b.cast(b.ne(x, 0.0), x.type))
    if abs(order) == math.inf:
        return r.fold("amax" if order > 0 else "amin", x)
    if order == 1:
        return r.fold("sum", x)
    return r.fold("sum", x ** float(order)) ** (1 / order)


@lowers(aten.argmax.default, uses=("argmax",))
def _argmax(c: Context) -> Value:
    return _arg(c, "argmax", c.argument(1, "dim"), c.argument(2, "keepdim", False))


@lowers(aten.argmin.default, uses=("argmin",))
def _argmin(c: Context) -> Value:
    return _arg(c, "argmin", c.argument(1, "dim"), c.argument(2, "keepdim", False))


def _arg(c: Context, name: str, dims: object, keepdim: bool) -> Value:
    r = _reduction(c, dims, keepdim)
    return r.fold(name, r.value, r.position())


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
    value = c.builder.cast(r.value, c.dtype)
    mean = r.mean(value)
    if item == 1:
        return mean
    difference = value - mean
    degrees = r.count(value.type) - float(correction)
    degrees = c.builder.maximum(degrees, 0.0)
    return r.fold("sum", difference * difference) / degrees


# Rows: a node as long as its source, made of reductions of it


def _row(c: Context, source: fx.Node, dims: list[int]) -> Reduction:
    kept = tuple(a for d, a in enumerate(c.map) if d not in dims)
    r = Reduction(c, source, dims, kept)
    if r.map != c.map:
        c.block()
    return r


@lowers(aten._softmax.default, uses=("amax", "exp", "sum"))
def _softmax(c: Context) -> Value:
    r, x = _float_row(c)
    e = c.builder.exp(x - r.fold("amax", x))
    return e / r.fold("sum", e)


@lowers(aten._safe_softmax.default, uses=("amax", "exp", "sum"))
def _safe_softmax(c: Context) -> Value:
    """Zeros, not NaN, for a row of nothing but -inf."""
    r, x = _float_row(c)
    largest = r.fold("amax", x)
    e = c.builder.exp(x - largest)
    return c.builder.where(largest == -math.inf, c.operand(0.0), e / r.fold("sum", e))


@lowers(aten._log_softmax.default, uses=("amax", "exp", "sum", "log"))
def _log_softmax(c: Context) -> Value:
    r, x = _float_row(c)
    shifted = x - r.fold("amax", x)
    return shifted - c.builder.log(r.fold("sum", c.builder.exp(shifted)))


def _float_row(c: Context) -> tuple[Reduction, Value]:
    source = c.argument(0, "self")
    rank = len(tensor_of(source).shape)
    r = _row(c, source, _dims(c.argument(1, "dim"), rank) if rank else [])
    return r, c.builder.cast(r.value, c.dtype)


@lowers(aten._softmax_backward_data.default, uses=("sum",))
def _softmax_backward(c: Context) -> Value:
    grad_node, out_node, dim = c.op_node.args[:3]
    rank = len(tensor_of(grad_node).shape)
    r = _row(c, grad_node, _dims(dim, rank) if rank else [])
    grad, y = c.builder.cast(r.value, c.dtype), c.operand(out_node)
    return (grad - r.fold("sum", grad * y)) * y


@lowers(aten._log_softmax_backward_data.default, uses=("sum", "exp"))
def _log_softmax_backward(c: Context) -> Value:
    grad_node, out_node, dim = c.op_node.args[:3]
    rank = len(tensor_of(grad_node).shape)
    r = _row(c, grad_node, _dims(dim, rank) if rank else [])
    grad, y = c.builder.cast(r.value, c.dtype), c.operand(out_node)
    return grad - c.builder.exp(y) * r.fold("sum", grad)


@lowers(aten.native_layer_norm.default, uses=("sum", "rsqrt"))
def _layer_norm(c: Context) -> Value:
    _, shape, weight, bias, eps = c.op_node.args
    r, x = _trailing(c, len(shape))
    mean = r.mean(x)
    if c.item == 1:
        return mean
    difference = x - mean
    rstd = c.builder.rsqrt(r.mean(difference * difference) + eps)
    if c.item == 2:
        return rstd
    y = difference * rstd
    y = y if weight is None else y * c.operand(weight)
    return y if bias is None else y + c.operand(bias)


@lowers(aten._fused_rms_norm.default, uses=("sum", "rsqrt"))
def _rms_norm(c: Context) -> Value:
    source, shape, weight, eps = c.op_node.args
    eps = torch.finfo(tensor_of(source).dtype).eps if eps is None else eps
    r, x = _trailing(c, len(shape))
    rstd = c.builder.rsqrt(r.mean(x * x) + eps)
    if c.item == 1:
        return rstd
    y = x * rstd
    return y if weight is None else y * c.operand(weight)


def _trailing(c: Context, count: int) -> tuple[Reduction, Value]:
    """The reduction over the last `count` dimensions, for an item as long as its source (item 0)
    or with those dimensions of size 1 (the statistics)."""
    source = c.argument(0, "input")
    rank = len(tensor_of(source).shape)
    dims = list(range(rank - count, rank))
    r = _row(c, source, dims) if c.item == 0 else Reduction(c, source, dims, c.map[: rank - count])
    return r, r.value
