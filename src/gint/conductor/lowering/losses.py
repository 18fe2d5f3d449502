"""Gradients of losses over classes: of a row's values, the one at its target is not 0."""

from __future__ import annotations

import torch
from torch import fx

from gint.host.frontend import Value

from ..graph.indexing import Map
from ..graph.nodes import Graph, tensor_of
from .emitter import Context
from .reduce import row_along
from .rules import lowered_where, lowers

aten = torch.ops.aten

_LOSSES = (aten.nll_loss_backward.default, aten.nll_loss2d_backward.default)
_MEAN = 1
#: Positions below are float32's, too.
_EXACT = 1 << 24


@lowered_where(*_LOSSES)
def _is_of_classes(node: fx.Node, graph: Graph) -> bool:
    """Weights are read at a row's target, which the CPU alone checks."""
    return graph.device == "cpu" or node.args[3] is None


@lowers(*_LOSSES)
def _nll_loss_backward(c: Context) -> Value:
    b, d = c.builder, _classes(c.op_node)
    target = c.value(c.argument(2, "target"), _beside(c.map, d))
    # As floats they are compared where the choice is made, in one loop.
    size = c.tensor.shape[d]
    t = c.dtype if isinstance(size, int) and size <= _EXACT else "i64"
    is_target = b.cast(c.position(c.map[d]), t) == b.cast(target, t)
    return b.where(is_target, _at_target(c, c.op_node, c.map), c.operand(0))


@lowers(aten._log_softmax_backward_data.default, uses=("sum", "exp"))
def _log_softmax_backward(c: Context) -> Value:
    """The gradient of a loss over classes needs no sum: one value of a row is all of it."""
    grad, result, dim = c.op_node.args[:3]
    y = c.builder.exp(c.operand(result))
    if _is_computed_loss(c, grad, dim):
        return c.operand(grad) - y * _at_target(c, grad, c.map)
    r = row_along(c, grad, dim)
    return r.value(c.map) - y * r.fold("sum", r.value)


def _is_computed_loss(c: Context, grad: fx.Node, dim: int) -> bool:
    is_loss = grad.target in _LOSSES and not c.emitter.is_loaded(grad)
    return is_loss and dim % len(c.map) == _classes(grad)


def _at_target(c: Context, loss: fx.Node, m: Map) -> Value:
    """The value at the target of the row that a position is in."""
    b, rows = c.builder, _beside(m, _classes(loss))
    given, _, target, weight, reduction, ignored, total = loss.args
    grad = c.value(given, rows if tensor_of(given).shape else ())
    if reduction == _MEAN:
        grad = grad / c.value(total, ())
    at = c.value(target, rows)
    if weight is not None:
        grad = grad * c.memory(weight, (c.computed(at, outside=0.0),))
    return b.cast(b.where(at == ignored, b.const(0.0, grad.type), -grad), c.dtype)


def _classes(loss: fx.Node) -> int:
    """The dimension of the classes: behind that of the rows, if there are rows."""
    return min(1, len(tensor_of(loss).shape) - 1)


def _beside(m: Map, d: int) -> Map:
    return (*m[:d], *m[d + 1 :])
