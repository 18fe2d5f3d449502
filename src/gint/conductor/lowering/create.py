"""Values from nothing, and the same value in another type or memory."""

from __future__ import annotations

from typing import Any

import torch

from gint.host.frontend import Value
from gint.isa import DType
from gint.isa.dtypes import Kind

from ..graph.nodes import Graph, find_tensor, tensor_of
from .emitter import Context
from .rules import NotLowerableError, lowered_where, lowers

aten, prims = torch.ops.aten, torch.ops.prims

_ROUNDING = {torch.float16: "round_f16", torch.bfloat16: "round_bf16"}


@lowers(aten.full.default)
def _full(c: Context) -> Value:
    return c.operand(c.argument(1, "fill_value"))


@lowers(aten.full_like.default)
def _full_like(c: Context) -> Value:
    return c.operand(c.argument(1, "fill_value"))


@lowers(aten.new_full.default)
def _new_full(c: Context) -> Value:
    return c.operand(c.argument(2, "fill_value"))


@lowers(aten.fill.Scalar, aten.fill.Tensor)
def _fill(c: Context) -> Value:
    return c.operand(c.argument(1, "value"))


@lowers(aten.scalar_tensor.default)
def _scalar_tensor(c: Context) -> Value:
    return c.operand(c.argument(0, "s"))


@lowers(aten.zeros.default, aten.zeros_like.default, aten.new_zeros.default, aten.zero.default)
def _zeros(c: Context) -> Value:
    return c.operand(0)


@lowers(aten.ones.default, aten.ones_like.default, aten.new_ones.default)
def _ones(c: Context) -> Value:
    return c.operand(1)


@lowers(aten.arange.default)
def _arange(c: Context) -> Value:
    return _sequence(c, 0, 1)


@lowers(aten.arange.start)
def _arange_start(c: Context) -> Value:
    return _sequence(c, c.argument(0, "start"), 1)


@lowers(aten.arange.start_step)
def _arange_start_step(c: Context) -> Value:
    return _sequence(c, c.argument(0, "start"), c.argument(2, "step", 1))


@lowers(prims.iota.default)
def _iota(c: Context) -> Value:
    return _sequence(c, c.argument(1, "start"), c.argument(2, "step"))


@lowers(aten.linspace.default)
def _linspace(c: Context) -> Value:
    """As eager: from the start in the first half, from the end in the second; in double for
    integers."""
    if c.tensor.dtype in _ROUNDING:
        raise NotLowerableError("eager rounds every step of a linspace of this type")
    b, size = c.builder, c.tensor.shape[0]
    work = "f64" if c.dtype.kind is Kind.INT else c.dtype
    start = b.cast(c.operand(c.argument(0, "start")), work)
    end = b.cast(c.operand(c.argument(1, "end")), work)
    if size == 1:
        return b.cast(start, c.dtype)
    position, count = c.position(c.map[0]), c.emitter.size(size)
    step = (end - start) / b.cast(count - 1, work)
    rising = start + step * b.cast(position, work)
    falling = end - step * b.cast(count - 1 - position, work)
    return b.cast(b.where(position < b.floor_div(count, 2), rising, falling), c.dtype)


def _sequence(c: Context, start, step) -> Value:
    """start + step * position, in i64 or, as eager does, in double for floats."""
    work = "f64" if c.dtype.kind is Kind.FLOAT else "i64"
    value = c.builder.cast(c.position(c.map[0]), work)
    if isinstance(step, torch.fx.Node) or step != 1:
        value = value * c.operand(step, work)
    if isinstance(start, torch.fx.Node) or start != 0:
        value = value + c.operand(start, work)
    return c.builder.cast(value, c.dtype)


@lowers(aten._to_copy.default, prims.convert_element_type.default)
def _cast(c: Context) -> Value:
    """A cast in the graph is kept, also where registers are wider than the type asked for."""
    source = c.op_node.args[0]
    if c.dtype.kind is not Kind.FLOAT:
        return as_stored(c, source, c.dtype)
    return rounded(c, c.operand(source))


def rounded(c: Context, value: Value) -> Value:
    """A value as it is after a trip through memory in the type of the result."""
    name = _ROUNDING.get(c.tensor.dtype)
    return c.builder.emit(name, value) if name else value


def as_stored(c: Context, arg: Any, type: DType | str) -> Value:
    """An operand as it is after a trip through memory in its own type, for what decides by it.

    Decided by a wider value it would come out otherwise than where the value has been stored: the
    gradient of a largest element makes the elements again and compares them with the one that was.
    """
    if not isinstance(arg, torch.fx.Node) or not find_tensor(arg):
        return c.operand(arg, type)
    name = _ROUNDING.get(tensor_of(arg).dtype)
    if name is None or c.emitter.is_loaded(c.emitter.graph.base(arg)):
        return c.operand(arg, type)
    value = c.builder.emit(name, c.value(arg, c.broadcast(arg)))
    return c.builder.cast(value, type)


@lowered_where(aten.lift_fresh_copy.default)
def _is_computed_with(node: torch.fx.Node, graph: Graph) -> bool:
    """A constant that was written as a number, say, and lies where programs read it."""
    return tensor_of(node).device.type == graph.device


@lowers(aten.clone.default, aten.lift_fresh_copy.default)
def _clone(c: Context) -> Value:
    return c.operand(c.argument(0, "self"))


@lowers(aten.copy.default)
def _copy(c: Context) -> Value:
    return c.operand(c.argument(1, "src"))


@lowers(aten.flip.default)
def _flip(c: Context) -> Value:
    source, dims = c.argument(0, "self"), c.argument(1, "dims")
    m = list(c.map)
    for d in dims:
        size = c.tensor.shape[d]
        m[d] = m[d].scaled(-1, size - 1)
    return c.value(source, tuple(m))
