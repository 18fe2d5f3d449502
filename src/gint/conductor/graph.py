"""Reading an FX graph: what kind each node is, and which memory a value lies in.

input      placeholder or attribute: a tensor that exists before the graph runs
scalar     a number (SymInt, int, ...): evaluated on the host
view       another look at its base's memory, no work
compute    lowered into a program
extern     left whole to ATen on purpose: the library does it better
fallback   left to ATen because nothing here can do it; with a reason
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import torch
from torch import fx

from gint.backend.protocol import ALL_TYPES

from . import lowering
from .dtypes import gint_dtype
from .externs import is_extern
from .views import is_view

_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


class NodeKind(Enum):
    INPUT = "input"
    SCALAR = "scalar"
    VIEW = "view"
    COMPUTE = "compute"
    EXTERN = "extern"
    FALLBACK = "fallback"
    TUPLE = "tuple"  # several results of a view or compute op; its getitems are the values
    OUTPUT = "output"


class Refusal(NamedTuple):
    """Why a node was left to eager."""

    node: str
    op: str
    reason: str


def value_of(node: fx.Node) -> Any:
    """The fake tensor (or number, or tuple) a node stands for."""
    return node.meta.get("val")


def moves(node: fx.Node) -> bool:
    """Whether a node copies a tensor from one device to another; no program reaches both."""
    if node.target is not torch.ops.aten._to_copy.default:
        return False
    source, made = value_of(node.args[0]), value_of(node)
    return isinstance(made, torch.Tensor) and source.device != made.device


def defined_symbols(node: fx.Node) -> dict[str, tuple]:
    """The symbols that get their value when a node left whole runs, and where in its result that
    is found (a path of torch.utils._pytree)."""
    bindings = node.meta.get("unbacked_bindings")
    if not bindings:
        value = value_of(node)
        is_symbol = isinstance(value, _SYMBOLIC) and value.node.expr.is_Symbol
        return {str(value.node.expr): ()} if is_symbol else {}
    from torch.fx.experimental.symbolic_shapes import resolve_unbacked_bindings

    env = next((n.shape_env for n in _sym_nodes(value_of(node))), None)
    renamed = resolve_unbacked_bindings(env, bindings) if env is not None else bindings
    return {str(symbol): path for symbol, path in renamed.items()}


def _sym_nodes(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        value = (*value.shape, *value.stride(), value.storage_offset())
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _sym_nodes(item)
    elif isinstance(value, _SYMBOLIC):
        yield value.node


def is_tensor(node: fx.Node) -> bool:
    return isinstance(value_of(node), torch.Tensor)


@dataclass
class Graph:
    """An FX graph with every node's kind. `device` is where programs may run."""

    fx: fx.Graph
    device: str
    kinds: dict[fx.Node, NodeKind] = field(default_factory=dict)
    refusals: dict[fx.Node, Refusal] = field(default_factory=dict)

    types: frozenset[str] = ALL_TYPES

    @classmethod
    def read(
        cls, graph: fx.Graph, device: str, unusable: str | None, types: frozenset[str] = ALL_TYPES
    ) -> Graph:
        """`unusable` is why no program can run at all here, or None; `types` are those that
        programs can compute in."""
        made = cls(graph, device, types=types)
        for node in graph.nodes:
            made.kinds[node] = made._kind(node, unusable)
        return made

    def _kind(self, node: fx.Node, unusable: str | None) -> NodeKind:
        if node.op == "output":
            return NodeKind.OUTPUT
        value = value_of(node)
        if node.op in ("placeholder", "get_attr"):
            return NodeKind.INPUT if isinstance(value, torch.Tensor | None) else NodeKind.SCALAR
        is_number = isinstance(value, (int, float, *_SYMBOLIC))
        if is_number and not is_extern(node.target) and not node.meta.get("unbacked_bindings"):
            return NodeKind.SCALAR
        if node.target is operator.getitem:
            return self._item_kind(node)
        if is_view(node.target):
            return NodeKind.TUPLE if isinstance(value, (tuple, list)) else NodeKind.VIEW
        if is_extern(node.target) and not lowering.fuses(node, self.kinds):
            return NodeKind.EXTERN
        if moves(node):
            return NodeKind.EXTERN
        reason = unusable or self._refuse(node)
        if reason is None:
            several = isinstance(value, (tuple, list))
            return NodeKind.TUPLE if several else NodeKind.COMPUTE
        self.refuse(node, reason)
        return NodeKind.FALLBACK

    def refuse(self, node: fx.Node, reason: str) -> None:
        """Leave a node to eager, for a reason that is kept; an item takes its operator along."""
        if node.target is operator.getitem:
            node = node.args[0]
        if self.kinds.get(node) is NodeKind.TUPLE:
            self.kinds.update(dict.fromkeys(node.users, NodeKind.EXTERN))
        if is_extern(node.target):
            self.kinds[node] = NodeKind.EXTERN
            return
        self.kinds[node] = NodeKind.FALLBACK
        self.refusals[node] = Refusal(node.name, str(node.target), reason)

    def _item_kind(self, node: fx.Node) -> NodeKind:
        parent = node.args[0]
        if self.kinds[parent] is not NodeKind.TUPLE:
            return NodeKind.EXTERN
        return NodeKind.VIEW if is_view(parent.target) else NodeKind.COMPUTE

    def _refuse(self, node: fx.Node) -> str | None:
        """Why a node cannot be lowered, or None."""
        if not lowering.has_rule(node.target):
            return "no lowering rule for this operator"
        tensors = [value_of(n) for n in node.all_input_nodes if is_tensor(n)]
        value = value_of(node)
        tensors += [v for v in (value if isinstance(value, (tuple, list)) else [value])
                    if isinstance(v, torch.Tensor)]  # fmt: skip
        for t in tensors:
            found = gint_dtype(t.dtype)
            if found is None:
                return f"no data type for {t.dtype}"
            if found.name not in self.types:
                return f"the device does not compute in {t.dtype}"
            if t.device.type != self.device:
                return f"a tensor on {t.device}, where programs run on {self.device}"
            if t.device != tensors[0].device:
                return f"tensors on {tensors[0].device} and {t.device}"
            if t.layout is not torch.strided:
                return f"a tensor of layout {t.layout}"
            if t.is_neg():
                return "a tensor whose values are the negatives of its memory"
            if t.dim() > 12:
                return f"a tensor of {t.dim()} dimensions"
        return None

    def base(self, node: fx.Node) -> fx.Node:
        """The node whose memory a view shows; a node that is no view is its own."""
        while self.kinds[node] is NodeKind.VIEW:
            node = node.args[0]
            if self.kinds[node] is NodeKind.TUPLE:
                node = node.args[0]
        return node

    def memory(self, node: fx.Node) -> fx.Node:
        """The node whose memory a value may lie in, also where views are left to eager."""
        node = self.base(node)
        while self.kinds[node] in (NodeKind.EXTERN, NodeKind.FALLBACK):
            source = self._aliased(node)
            if source is None:
                break
            node = self.base(source)
        return node

    @staticmethod
    def _aliased(node: fx.Node) -> fx.Node | None:
        """The argument a node left whole may return a view of."""
        if node.target is operator.getitem:
            return node.args[0]
        schema = getattr(node.target, "_schema", None)
        if schema is None or not any(r.alias_info for r in schema.returns):
            return None
        first = node.args[0] if node.args else None
        return first if isinstance(first, fx.Node) else None
