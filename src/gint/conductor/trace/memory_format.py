"""Convolutions in channels-last memory: what oneDNN computes in, without packing every result back.

Works on Dynamo's graph, before it is traced, so that gradients follow by themselves. A
convolution is given its input in channels-last memory, unless oneDNN computes it and it has many
more weights than inputs, and what comes between keeps the format it is given. Who gets the graph's
results finds the strides that eager has; a graph in which somebody else sees strides, or memory
that two values share, stays as it is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx

_aten = torch.ops.aten
#: A convolution's memory format, by the dimensions of its input.
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
#: In channels-last memory oneDNN packs weights at every call several times as slowly as for rows.
#: From so many weights on, and so many for each input, that is most of a convolution.
_MANY_WEIGHTS, _MANY_TIMES = 1 << 18, 4
_CONVOLUTIONS = {
    torch.conv2d, torch.conv3d, torch.conv_transpose2d, torch.conv_transpose3d,
}  # fmt: skip
#: Views in eager that are copies of memory in another format, and what is allowed to copy.
_RESHAPES = {
    "view": "reshape", "view_as": "reshape_as", "reshape": "reshape", "reshape_as": "reshape_as",
    "flatten": "flatten", "ravel": "ravel", "contiguous": "contiguous",
}  # fmt: skip
#: They tell of strides, which Dynamo has taken for constants.
_STRIDE_READERS = {"as_strided", "as_strided_", "set_", "stride", "storage_offset", "data_ptr"}
#: They fill memory in its own order: other strides, other numbers for the same seed.
_RANDOM = {
    "dropout", "alpha_dropout", "feature_alpha_dropout", "rrelu", "gumbel_softmax", "bernoulli",
    "normal", "rand_like", "randn_like", "randint_like", "native_dropout",
}  # fmt: skip
_IN_PLACE_OPERATORS = {
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv,
    operator.imod, operator.ipow, operator.iand, operator.ior, operator.ixor, operator.setitem,
}  # fmt: skip


def convolve_in_channels_last(gm: fx.GraphModule, is_own: Callable[[torch.Tensor], bool]) -> None:
    """Change a graph of Dynamo's so that its convolutions on the CPU run in channels-last memory.

    A single convolution stays as it is: packing and unpacking would be its whole gain. `is_own`
    tells of a weight whether a convolution with it is gint's own, which reads weights as they are.
    """
    convolutions = [n for n in gm.graph.nodes if _is_convolution(n)]
    if len(convolutions) < 2 or not _may_change(gm.graph):
        return
    for node in convolutions:
        _insert(node.args[0], node, to_format, _format_of(node, is_own))
    for node in gm.graph.nodes:
        if node.op == "call_method" and _is_reshape(node):
            node.target = _RESHAPES[node.target]
    end = next(n for n in gm.graph.nodes if n.op == "output")
    for node in _results(gm.graph):
        _insert(node, end, to_order, order_of(_value(node)))
    gm.recompile()


def _value(node: fx.Node) -> Any:
    return node.meta.get("example_value")


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _is_convolution(node: fx.Node) -> bool:
    value = _value(node)
    return (
        node.target in _CONVOLUTIONS
        and isinstance(value, torch.Tensor)
        and isinstance(node.args[0] if node.args else None, fx.Node)
        and value.device.type == "cpu"
        and value.dim() in FORMATS
        and value.dtype in (torch.float32, torch.bfloat16)
    )


def _format_of(convolution: fx.Node, is_own: Callable[[torch.Tensor], bool]) -> torch.memory_format:
    channels_last = FORMATS[_value(convolution).dim()]
    weight = convolution.args[1] if len(convolution.args) > 1 else convolution.kwargs.get("weight")
    x, w = (_value(n) if isinstance(n, fx.Node) else None for n in (convolution.args[0], weight))
    if not isinstance(x, torch.Tensor) or not isinstance(w, torch.Tensor) or not _has_few(x, w):
        return channels_last
    is_direct = convolution.target is torch.conv2d and _value(convolution).dtype is torch.float32
    return channels_last if is_direct and is_own(w) else torch.contiguous_format


def _has_few(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether there are few inputs beside the weights. Of a symbol that would become a guard."""
    count = x.numel()
    is_known = isinstance(count, int) and x.dtype is torch.float32
    return is_known and weight.numel() >= max(_MANY_WEIGHTS, _MANY_TIMES * count)


# Whether a graph may change


def _may_change(graph: fx.Graph) -> bool:
    if any(_sees_order(n) for n in graph.nodes) or _writes_what_was_reshaped(graph):
        return False
    values = [_value(n) for n in _results(graph)]
    storages = [v.untyped_storage()._cdata for v in values]
    return len(set(storages)) == len(storages) and all(order_of(v) is not None for v in values)


def _sees_order(node: fx.Node) -> bool:
    """Whether a node depends on the order of its operands in memory, as far as is known."""
    if isinstance(node.target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        return str(node.target).split(".")[0] not in ("aten", "prims")
    if isinstance(node.target, torch._ops.HigherOrderOperator) or node.op == "call_module":
        return True
    name = _name(node)
    if (
        name == "dropout"
        and node.kwargs.get("training", (*node.args, True, True, True)[2]) is False
    ):
        return False
    is_dtype_view = name == "view" and any(isinstance(a, torch.dtype) for a in node.args)
    return is_dtype_view or name in _STRIDE_READERS or name in _RANDOM or name.endswith("uniform_")


def _argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _writes_what_was_reshaped(graph: fx.Graph) -> bool:
    """Whether memory that a reshaped value shows is written later: then a copy would differ."""
    shown: set[int] = set()
    for node in graph.nodes:
        value = _value(node)
        if _is_reshape(node) and isinstance(value, torch.Tensor):
            shown.add(value.untyped_storage()._cdata)
        elif any(v.untyped_storage()._cdata in shown for v in _written(node)):
            return True
    return False


def _is_reshape(node: fx.Node) -> bool:
    return node.op in ("call_method", "call_function") and _name(node) in _RESHAPES


def _written(node: fx.Node) -> Iterator[torch.Tensor]:
    """The tensors a node writes into."""
    name = _name(node)
    in_place = node.target in _IN_PLACE_OPERATORS or node.kwargs.get("inplace") is True
    in_place |= name.endswith("_") and not name.endswith("__")
    targets = [node.kwargs.get("out"), *(node.args[:1] if in_place else ())]
    values = (_value(t) for t in targets if isinstance(t, fx.Node))
    yield from (v for v in values if isinstance(v, torch.Tensor))
    if any(a is True for a in node.args) and node.args and name in _ACTIVATIONS:
        yield _value(node.args[0])


#: Functions whose last argument may be `inplace`, given by place.
_ACTIVATIONS = {"relu", "relu6", "elu", "selu", "celu", "silu", "mish", "hardtanh", "leaky_relu",
                "hardswish", "hardsigmoid", "threshold", "rrelu"}  # fmt: skip


def _results(graph: fx.Graph) -> list[fx.Node]:
    """The tensors that the graph computes and returns."""
    end = next(n for n in graph.nodes if n.op == "output")
    return [
        n for n in end.all_input_nodes
        if n.op not in ("placeholder", "get_attr") and isinstance(_value(n), torch.Tensor)
    ]  # fmt: skip


def order_of(t: torch.Tensor) -> tuple[int, ...] | None:
    """The dimensions of a tensor, slowest first, if it fills its memory in that order."""
    if t.layout is not torch.strided:
        return None
    if any(isinstance(n, torch.SymInt) for n in (*t.shape, *t.stride())):
        # Comparing symbols would guard on them; torch's own answer of a fake tensor does not.
        return tuple(range(t.dim())) if t.is_contiguous() else None
    order = sorted(range(t.dim()), key=lambda d: (-t.stride(d), t.shape[d] == 1))
    return tuple(order) if t.permute(order).is_contiguous() else None


# Changing it


def _insert(node: fx.Node, user: fx.Node, function: Callable[..., Any], *args: Any) -> None:
    """Let `user` have `function` of a node in its place."""
    tracer = fx.proxy.GraphAppendingTracer(user.graph)
    with user.graph.inserting_before(user):
        made = function(fx.Proxy(node, tracer), *args)
    user.replace_input_with(node, made.node)


# By ATen's own operators: torch's caches keep no graph that calls what they do not know.


def to_format(t: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    return _aten.contiguous.default(t, memory_format=memory_format)


def to_order(t: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """The tensor in memory in this order of its dimensions; itself where it is."""
    inverse = sorted(range(len(order)), key=order.__getitem__)
    ordered = _aten.contiguous.default(_aten.permute.default(t, list(order)))
    return _aten.permute.default(ordered, inverse)
