"""The nodes of an FX graph: what kind each is, and which memory a value lies in.

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
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import fx

from .externs import is_extern
from .sizes import Key, key, keys

#: Where a node keeps its TensorInfo.
_INFO = "gint_tensor"
_AS_STRIDED = torch.ops.aten.as_strided.default
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


class TensorKind(NamedTuple):
    """What tensors have in common that show the same memory in the same way, other than sizes,
    strides and offset. The bits say that what is meant is the negative, or the conjugate."""

    dtype: torch.dtype
    layout: torch.layout
    is_neg: bool
    is_conj: bool


class TensorInfo:
    """What a node's fake tensor says of its dtype and, in keys, of its layout.

    Asking the tensor itself is slow, and each node is asked many times.
    """

    def __init__(self, fake: torch.Tensor) -> None:
        self.fake, self.dtype, self.shape = fake, fake.dtype, keys(fake.shape)

    @cached_property
    def strides(self) -> tuple[Key, ...]:
        return keys(self.fake.stride())

    @cached_property
    def offset(self) -> Key:
        return key(self.fake.storage_offset())

    @cached_property
    def device(self) -> torch.device:
        return self.fake.device

    @cached_property
    def kind(self) -> TensorKind:
        fake = self.fake
        return TensorKind(fake.dtype, fake.layout, fake.is_neg(), fake.is_conj())


def find_tensor(node: fx.Node) -> TensorInfo | None:
    """The tensor a node stands for, or None for a number or a tuple."""
    value, found = node.meta.get("val"), node.meta.get(_INFO)
    if found is not None and found.fake is value:
        return found
    if not isinstance(value, torch.Tensor):
        return None
    found = node.meta[_INFO] = TensorInfo(value)
    return found


def tensor_of(node: fx.Node) -> TensorInfo:
    """The tensor a node stands for; it must be one."""
    found = find_tensor(node)
    assert found is not None, f"{node} is no tensor"
    return found


def forget_tensors(graph: fx.Graph) -> None:
    """Ask the fake tensors anew: an expression may have become simpler since the last graph."""
    for node in graph.nodes:
        node.meta.pop(_INFO, None)


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


@dataclass
class Graph:
    """An FX graph with every node's kind, and why some are left to eager. `device` is where
    programs may run."""

    fx: fx.Graph
    device: str
    kinds: dict[fx.Node, NodeKind] = field(default_factory=dict)
    refusals: dict[fx.Node, Refusal] = field(default_factory=dict)

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

    def base(self, node: fx.Node) -> fx.Node:
        """The node whose memory a view shows; a node that is no view is its own."""
        while self.kinds[node] is NodeKind.VIEW:
            node = node.args[0]
            if self.kinds[node] is NodeKind.TUPLE:
                node = node.args[0]
        return node

    def anchor(self, node: fx.Node) -> fx.Node:
        """The node from whose first element a value is addressed: its base, or, of memory that no
        program makes, the last `as_strided` on the way there. That one counts from where the
        storage begins, and may leave the tensor; no guard tells where in a storage a tensor lies,
        nor how large the storage is."""
        base = self.base(node)
        if self.kinds[base] is not NodeKind.COMPUTE:
            while node is not base:
                if node.target is _AS_STRIDED:
                    return node
                node = node.args[0]
        return base

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
