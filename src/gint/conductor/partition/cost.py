"""Which values are stored once rather than computed again: an estimate in bytes moved."""

from __future__ import annotations

from typing import Any

from torch import fx

from gint.isa import Form

from ..graph.nodes import Graph, NodeKind, value_of
from ..graph.sizes import numel_hint
from ..graph.writes import is_nested, written
from ..lowering.rules import opcodes_of

#: An opcode of this cost costs far more than loading an element, and so do reductions and scans.
_HEAVY_COST = 12
#: Loads per element that the work of an operator is worth.
_HEAVY_WEIGHT = 4.0
_LIGHT_WEIGHT = 0.25
#: The work of several operators per element, and of a program of its own: it pays to store a value
#: that is narrower than what is made of it where more than both would be repeated. In bytes.
_SEVERAL, _A_LAUNCH = 8, 1 << 18

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
        self.elements = _Elements(graph)
        self.bytes = _Bytes(self.elements)
        self.weights: dict[int, float] = {}  # by the `id` of an operator, whose own hash is slow
        self.users: dict[fx.Node, list[fx.Node]] = {}
        self.ends = self._ends()
        #: The memory a value is computed from, and the work in equivalent bytes.
        self.work: dict[fx.Node, tuple[frozenset[fx.Node], float]] = {}

    def run(self) -> set[fx.Node]:
        for node in self.graph.fx.nodes:
            if self.graph.kinds[node] is not NodeKind.COMPUTE:
                continue
            leaves, weight = self.work[node] = self._below(node)
            if node in self.required or is_nested(self.graph, node):
                continue
            if self._is_worth_storing(node, leaves, weight):
                self.stored.add(node)
        return self.stored - self.required

    def _is_worth_storing(self, node: fx.Node, leaves: frozenset[fx.Node], weight: float) -> bool:
        own = self.bytes[node]
        users = self.users[node]
        again = sum(self.bytes[leaf] for leaf in leaves) + weight
        if len(users) > 1:
            # Stored, it is computed once, written, and read by all programs but the one it is in.
            programs = max(2, self._programs(users))
            if (programs - 1) * again > programs * own:
                return True
        wide = sum(self.bytes[u] for u in users if self._widens(u, own))
        if not wide:
            return False
        several = _SEVERAL * self.elements[node]
        is_repeated = weight >= several > 0 and wide / own * weight > _A_LAUNCH
        is_dear = weight > max(2 * own, several)
        return (is_dear or is_repeated) and not self._has_reduction(node)

    def _ends(self) -> dict[fx.Node, int]:
        """For each computed value the required ones it is part of, a bit each."""
        found: dict[fx.Node, int] = {}
        for number, node in enumerate(reversed(self.graph.fx.nodes)):
            if self.graph.kinds[node] is NodeKind.COMPUTE:
                self.users[node] = self._users(node)
                above = 1 << number if node in self.required else 0
                for user in self.users[node] if not above else ():
                    above |= found[user]
                found[node] = above
        return found

    def _programs(self, users: list[fx.Node]) -> int:
        """In how many programs a value would be computed: users that become part of one and the
        same required value share one."""
        groups: list[int] = []
        for user in users:
            ends = self.ends[user]
            for group in [g for g in groups if g & ends]:
                groups.remove(group)
                ends |= group
            groups.append(ends)
        return len(groups)

    def _below(self, node: fx.Node) -> tuple[frozenset[fx.Node], float]:
        kinds = self.graph.kinds
        weight = self.weights.get(id(node.target))
        if weight is None:
            weight = self.weights[id(node.target)] = weight_of(node.target)
        total = weight * self.bytes[node]
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
                found += self._users(user) if user.users else ()
            elif kind is NodeKind.COMPUTE:
                found.append(user)
            elif kind is NodeKind.TUPLE:
                found += [item for item in user.users if kinds[item] is NodeKind.COMPUTE]
        return found

    def _widens(self, user: fx.Node, own: float) -> bool:
        return not self._reduces(user) and self.bytes[user] > own

    def _reduces(self, node: fx.Node) -> bool:
        inputs = node.all_input_nodes
        return bool(inputs) and self.elements[node] < self.elements[inputs[0]]

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


class _Elements(dict[fx.Node, int]):
    """The elements of what is stored of a node's value, estimated where a size is symbolic; of the
    first of several."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def __missing__(self, node: fx.Node) -> int:
        value = _first(written(self.graph, node))
        found = self[node] = numel_hint(value.shape) if hasattr(value, "shape") else 1
        return found


class _Bytes(dict[fx.Node, float]):
    """The bytes of these elements."""

    def __init__(self, elements: _Elements) -> None:
        super().__init__()
        self.elements = elements

    def __missing__(self, node: fx.Node) -> float:
        value = _first(node)
        itemsize = value.dtype.itemsize if hasattr(value, "dtype") else 8
        found = self[node] = float(self.elements[node] * itemsize)
        return found


def _first(node: fx.Node) -> Any:
    value = value_of(node)
    return value[0] if isinstance(value, (tuple, list)) else value
