"""Convolutions of torch.export's programs in channels-last memory, as memory_format.py has those of
Dynamo's graphs: while a program is traced every convolution is given its input so, and what comes
between keeps the format. Results have the strides that the program says.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from .memory_format import FORMATS, order_of, to_format, to_order

_ATEN = torch.ops.aten
_CONVOLUTIONS = (
    _ATEN.conv2d.default, _ATEN.conv2d.padding, _ATEN.conv3d.default, _ATEN.conv3d.padding,
    _ATEN.convolution.default,
)  # fmt: skip
#: Views in the program that are copies of memory in another format.
_VIEWS = (_ATEN.view.default, _ATEN._unsafe_view.default)
_POOLS = (_ATEN.adaptive_avg_pool2d.default, _ATEN._adaptive_avg_pool2d.default)
_BY_STORAGE = ("as_strided", "as_strided_copy", "as_strided_scatter")
#: Whose results lie as they always do, however their arguments lie.
_OWN_LAYOUT = ("embedding", "mm", "addmm", "bmm", "baddbmm", "linear")
#: They see the order of memory: by strides, or by filling it with random numbers in that order.
_SEE_ORDER = (_ATEN.as_strided.default, _ATEN.view.dtype)


class ChannelsLast(fx.Interpreter):
    """Runs a functional program, to be traced; as it is where `may_change` says no."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.changes = may_change(module.graph)

    def call_function(self, target: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if self.changes and target in _CONVOLUTIONS and _has_format(args[0]):
            args = (to_format(args[0], FORMATS[args[0].dim()]), *args[1:])
        elif self.changes and target in _VIEWS:
            target = _ATEN.reshape.default
        elif self.changes and target in _POOLS and set(args[1]) == {1}:
            # What ATen computes; its own would set strides in place.
            return args[0].mean((-2, -1), keepdim=True)
        return super().call_function(target, args, kwargs)

    def output(self, target: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        results = super().output(target, args, kwargs)
        if not self.changes:
            return results
        (end,) = self.module.graph.find_nodes(op="output")
        return tuple([_in_order(x, v) for x, v in zip(results, _values(end), strict=True)])


def _in_order(x: Any, value: Any) -> Any:
    """A result in the order of memory that the program's own has."""
    order = order_of(value) if isinstance(value, torch.Tensor) else None
    return x if order is None else to_order(x, order)


def _has_format(x: torch.Tensor) -> bool:
    return x.dim() in FORMATS and x.dtype in (torch.float32, torch.bfloat16)


def may_change(graph: fx.Graph) -> bool:
    """Whether a program has several convolutions, and nothing that sees the order of memory."""
    convolutions = sum(n.target in _CONVOLUTIONS for n in graph.nodes)
    return convolutions > 1 and not any(_sees_order(n) for n in graph.nodes)


def _sees_order(node: fx.Node) -> bool:
    if node.op == "output":
        return any(order_of(v) is None for v in _values(node) if isinstance(v, torch.Tensor))
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return node.op == "call_function" and isinstance(node.target, torch._ops.OperatorBase)
    is_random = torch.Tag.nondeterministic_seeded in node.target.tags
    return node.target in _SEE_ORDER or is_random or node.target.namespace != "aten"


def _values(end: fx.Node) -> list[Any]:
    return [n.meta.get("val") if isinstance(n, fx.Node) else None for n in end.args[0]]


def seen_by_storage(graph: fx.Graph) -> list[fx.Node]:
    """The inputs whose strides may decide what `as_strided` finds: it counts in memory, and what is
    computed of a tensor mostly lies as the tensor does."""
    reached: dict[fx.Node, set[fx.Node]] = {}
    seen: set[fx.Node] = set()
    for node in graph.nodes:
        name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        found = {node} if node.op == "placeholder" else set()
        if name not in _OWN_LAYOUT:
            found.update(*(reached[n] for n in node.all_input_nodes))
        reached[node] = found
        if name in _BY_STORAGE:
            seen |= found
    return [n for n in graph.nodes if n in seen]


def convolve_with_packed_weights(module: fx.GraphModule) -> None:
    """Have constant weights of convolutions that read channels-last memory lie so too."""
    for node in module.graph.nodes:
        if node.target is not _ATEN.convolution.default or node.args[1].op != "get_attr":
            continue
        source, weight = node.args[0].meta["val"], node.args[1]
        if source.dim() not in FORMATS or any(n.target is not node.target for n in weight.users):
            continue
        format = FORMATS[source.dim()]
        step = source.stride(1)  # torch does not tell of the format where the batch is free
        if type(step) is int and step == 1:
            *path, name = weight.target.split(".")
            owner = module.get_submodule(".".join(path))
            setattr(owner, name, getattr(owner, name).contiguous(memory_format=format))
            weight.meta["val"] = to_format(weight.meta["val"], format)
