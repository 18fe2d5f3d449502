"""Which values are stored once rather than computed again: an estimate in bytes moved."""

from __future__ import annotations

from typing import Any

from torch import fx

from gint.isa import Form

from ..graph.nodes import Graph, NodeKind, value_of
from ..graph.sizes import numel_hint
from ..lowering.rules import opcodes_of

#: An opcode of this cost costs far more than loading an element, and so do reductions and scans.
_HEAVY_COST = 12
#: Loads per element that the work of an operator is worth.
_HEAVY_WEIGHT = 4.0
_LIGHT_WEIGHT = 0.25

#: Kinds of values that lie in memory or may, and of those that lie between a value and its memory.
_MEMORY = (
    NodeKind.VIEW, NodeKind.COMPUTE, NodeKind.INPUT, NodeKind.EXTERN, NodeKind.FALLBACK,
)  # fmt: skip
_INSIDE = (NodeKind.COMPUTE, NodeKind.VIEW, NodeKind.TUPLE)


def worth_storing(graph: Graph, required: set[fx.Node]) -> set[fx.Node]:
    """Computed values, beyond those `required`, that several users had better load."""
    return _Estimate(graph, required).run()


def weight_of(target: Any) -> float:
    """The work of an operator per element, in loads: what its rule uses decides."""
    is_heavy = any(
        op.form in (Form.REDUCE, Form.SCAN) or op.cost >= _HEAVY_COST for op in opcodes_of(target)
    )  # fmt: skip
    return _HEAVY_WEIGHT if is_heavy else _LIGHT_WEIGHT


class _Estimate:
    """What computing values again would move; `stored` are those that are loaded instead."""

    def __init__(self, graph: Graph, required: set[fx.Node]) -> None:
        self.graph, self.required, self.stored = graph, required, set(required)
        self.bytes = _Bytes()
        #: The memory a value is computed from, and the work in equivalent bytes.
        self.work: dict[fx.Node, tuple[frozenset[fx.Node], float]] = {}

    def run(self) -> set[fx.Node]:
        for node in self.graph.fx.nodes:
            if self.graph.kinds[node] is not NodeKind.COMPUTE:
                continue
            leaves, weight = self.work[node] = self._below(node)
            if node not in self.required and self._is_worth_storing(node, leaves, weight):
                self.stored.add(node)
        return self.stored - self.required

    def _is_worth_storing(self, node: fx.Node, leaves: frozenset[fx.Node], weight: float) -> bool:
        own = self.bytes[node]
        users = self._users(node)
        if len(users) > 1 and sum(self.bytes[leaf] for leaf in leaves) + weight > own:
            return True
        if weight <= 2 * own or not any(self._widens(u, own) for u in users):
            return False
        return not self._has_reduction(node)

    def _below(self, node: fx.Node) -> tuple[frozenset[fx.Node], float]:
        kinds = self.graph.kinds
        total = weight_of(node.target) * self.bytes[node]
        leaves: set[fx.Node] = set()
        for source in node.all_input_nodes:
            if kinds[source] is NodeKind.TUPLE:
                inner, more = self._below(source)
            elif kinds[source] in _MEMORY:
                base = self.graph.base(source)
                if kinds[base] is NodeKind.COMPUTE and base not in self.stored:
                    inner, more = self.work[base]
                else:
                    inner, more = frozenset((base,)), 0.0
            else:
                continue
            leaves |= inner
            total += more
        return frozenset(leaves), total

    def _users(self, node: fx.Node) -> list[fx.Node]:
        """The computed users of a value, also through views."""
        kinds = self.graph.kinds
        found: list[fx.Node] = []
        for user in node.users:
            kind = kinds[user]
            if kind is NodeKind.VIEW:
                found += self._users(user)
            elif kind is NodeKind.COMPUTE:
                found.append(user)
            elif kind is NodeKind.TUPLE:
                found += [item for item in user.users if kinds[item] is NodeKind.COMPUTE]
        return found

    def _widens(self, user: fx.Node, own: float) -> bool:
        return not self._reduces(user) and self.bytes[user] > own

    def _reduces(self, node: fx.Node) -> bool:
        inputs = node.all_input_nodes
        return bool(inputs) and self.bytes[node] < self.bytes[inputs[0]]

    def _has_reduction(self, node: fx.Node) -> bool:
        waiting, seen = [node], set()
        while waiting:
            current = waiting.pop()
            if current in seen or self.graph.kinds[current] not in _INSIDE:
                continue
            seen.add(current)
            if self.graph.kinds[current] is NodeKind.COMPUTE and self._reduces(current):
                return True
            waiting += current.all_input_nodes
        return False


class _Bytes(dict[fx.Node, float]):
    """The bytes of a node's value, estimated where a size is symbolic; of the first of several."""

    def __missing__(self, node: fx.Node) -> float:
        value = value_of(node)
        if isinstance(value, (tuple, list)):
            value = value[0]
        is_tensor = hasattr(value, "shape")
        found = float(numel_hint(value.shape) * value.dtype.itemsize) if is_tensor else 8.0
        self[node] = found
        return found
