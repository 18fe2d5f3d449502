"""Reading an FX graph: what there is a rule for, and what suits the device, is compiled."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from gint.backend.protocol import ALL_TYPES

from ..graph.dtypes import gint_dtype
from ..graph.externs import is_extern
from ..graph.nodes import Graph, NodeKind, TensorInfo, find_tensor, moves, value_of
from ..graph.views import is_view
from .rules import has_rule, is_lowered

#: A program has 16 axes at most, and views split some dimensions in two.
_MAX_DIMENSIONS = 12


def read_graph(
    graph: fx.Graph, device: str, unusable: str | None, types: frozenset[str] = ALL_TYPES
) -> Graph:
    """The graph with the kinds of its nodes.

    `device` is where programs may run, `unusable` why none can run at all, or None; `types` are
    those that programs can compute in.
    """
    return _Reader(Graph(graph, device), unusable, types).read()


class _Reader:
    def __init__(self, graph: Graph, unusable: str | None, types: frozenset[str]) -> None:
        self.graph, self.unusable, self.types = graph, unusable, types
        self.suitable: set[TensorInfo] = set()

    def read(self) -> Graph:
        for node in self.graph.fx.nodes:
            self.graph.kinds[node] = self._kind(node)
        return self.graph

    def _kind(self, node: fx.Node) -> NodeKind:
        if node.op == "output":
            return NodeKind.OUTPUT
        value = value_of(node)
        if node.op in ("placeholder", "get_attr"):
            return NodeKind.INPUT if isinstance(value, torch.Tensor | None) else NodeKind.SCALAR
        is_number = isinstance(value, (int, float, torch.SymInt, torch.SymFloat, torch.SymBool))
        if is_number and not is_extern(node.target) and not node.meta.get("unbacked_bindings"):
            return NodeKind.SCALAR
        if node.target is operator.getitem:
            return self._item_kind(node)
        if node.meta.get("unbacked_bindings"):
            return NodeKind.EXTERN  # a view too: what it shows is known when ATen has made it
        if is_view(node.target):
            return NodeKind.TUPLE if _is_several(value) else NodeKind.VIEW
        if is_extern(node.target) and not is_lowered(node, self.graph):
            return NodeKind.EXTERN
        if moves(node):
            return NodeKind.EXTERN
        reason = self.unusable or self._why_not(node)
        if reason is None:
            return NodeKind.TUPLE if _is_several(value) else NodeKind.COMPUTE
        self.graph.refuse(node, reason)
        return self.graph.kinds[node]

    def _item_kind(self, node: fx.Node) -> NodeKind:
        parent = node.args[0]
        if self.graph.kinds[parent] is not NodeKind.TUPLE:
            return NodeKind.EXTERN
        return NodeKind.VIEW if is_view(parent.target) else NodeKind.COMPUTE

    def _why_not(self, node: fx.Node) -> str | None:
        """Why a node cannot be lowered, or None."""
        if not has_rule(node.target):
            return "no lowering rule for this operator"
        value = value_of(node)
        made = [v for v in value if isinstance(v, torch.Tensor)] if _is_several(value) else ()
        tensors = [t for n in (*node.all_input_nodes, node) if (t := find_tensor(n))]
        tensors += map(TensorInfo, made)
        for t in tensors:
            if t not in self.suitable:
                if reason := self._why_unsuitable(t):
                    return reason
                self.suitable.add(t)
            if t.device != tensors[0].device:
                return f"tensors on {tensors[0].device} and {t.device}"
        return None

    def _why_unsuitable(self, t: TensorInfo) -> str | None:
        """Why no program can read or make a tensor, or None."""
        found = gint_dtype(t.dtype)
        if found is None:
            return f"no data type for {t.dtype}"
        if found.name not in self.types:
            return f"the device does not compute in {t.dtype}"
        if t.device.type != self.graph.device:
            return f"a tensor on {t.device}, where programs run on {self.graph.device}"
        if t.kind.layout is not torch.strided:
            return f"a tensor of layout {t.kind.layout}"
        if t.kind.is_neg:
            return "a tensor whose values are the negatives of its memory"
        if len(t.shape) > _MAX_DIMENSIONS:
            return f"a tensor of {len(t.shape)} dimensions"
        return None


def _is_several(value: Any) -> bool:
    return isinstance(value, (tuple, list))
