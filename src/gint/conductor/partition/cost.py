"""Which values are stored once rather than computed again: an estimate in bytes moved."""

from __future__ import annotations

from typing import Any

from torch import fx

from gint.isa import Form

from ..graph.nodes import Graph, NodeKind, value_of
from ..graph.sizes import numel_hint
from ..lowering.rules import opcodes_of

#: An opcode of this cost costs far more than loading an element, and so does a reduction.
_HEAVY_COST = 12
#: Loads per element that the work of an operator is worth.
_HEAVY_WEIGHT = 4.0
_LIGHT_WEIGHT = 0.25


def worth_storing(graph: Graph, required: set[fx.Node]) -> set[fx.Node]:
    """Computed values, beyond those `required`, that several users had better load."""
    chosen: set[fx.Node] = set()
    work: dict[fx.Node, tuple[frozenset[fx.Node], float]] = {}
    for node in graph.fx.nodes:
        if graph.kinds[node] is not NodeKind.COMPUTE:
            continue
        leaves, weight = _below(graph, node, required | chosen, work)
        work[node] = leaves, weight
        if node in required:
            continue
        own = _bytes(node)
        again = sum(_bytes(leaf) for leaf in leaves) + weight
        users = _users(graph, node)
        widened = [u for u in users if not _reduces(u) and _bytes(u) > own]
        dear = bool(widened) and weight > 2 * own and not _has_reduction(graph, node)
        if dear or (len(users) > 1 and again > own):
            chosen.add(node)
    return chosen


def weight_of(target: Any) -> float:
    """The work of an operator per element, in loads: what its rule uses decides."""
    is_heavy = any(
        op.form is Form.REDUCE or op.cost >= _HEAVY_COST for op in opcodes_of(target)
    )  # fmt: skip
    return _HEAVY_WEIGHT if is_heavy else _LIGHT_WEIGHT


def _below(graph, node, stored, work) -> tuple[frozenset[fx.Node], float]:
    """The memory a value is computed from, and the work in equivalent bytes."""
    total = weight_of(node.target) * _bytes(node)
    leaves: set[fx.Node] = set()
    for source in node.all_input_nodes:
        if graph.kinds[source] is NodeKind.TUPLE:
            inner, more = _below(graph, source, stored, work)
        elif graph.kinds[source] in (NodeKind.VIEW, NodeKind.COMPUTE, NodeKind.INPUT,
                                     NodeKind.EXTERN, NodeKind.FALLBACK):  # fmt: skip
            base = graph.base(source)
            if graph.kinds[base] is NodeKind.COMPUTE and base not in stored and base in work:
                inner, more = work[base]
            else:
                inner, more = frozenset((base,)), 0.0
        else:
            continue
        leaves |= inner
        total += more
    return frozenset(leaves), total


def _users(graph: Graph, node: fx.Node) -> list[fx.Node]:
    """The computed users of a value, also through views."""
    found: list[fx.Node] = []
    for user in node.users:
        kind = graph.kinds[user]
        if kind is NodeKind.VIEW:
            found += _users(graph, user)
        elif kind is NodeKind.COMPUTE:
            found.append(user)
        elif kind is NodeKind.TUPLE:
            found += [item for item in user.users if graph.kinds[item] is NodeKind.COMPUTE]
    return found


def _bytes(node: fx.Node) -> float:
    value = value_of(node)
    if isinstance(value, (tuple, list)):
        value = value[0]
    return float(numel_hint(value.shape) * value.dtype.itemsize) if hasattr(value, "shape") else 8.0


def _reduces(node: fx.Node) -> bool:
    return bool(node.all_input_nodes) and _bytes(node) < _bytes(node.all_input_nodes[0])


def _has_reduction(graph: Graph, node: fx.Node) -> bool:
    waiting, seen = [node], set()
    while waiting:
        current = waiting.pop()
        if current in seen or graph.kinds[current] not in (
            NodeKind.COMPUTE, NodeKind.VIEW, NodeKind.TUPLE
        ):  # fmt: skip
            continue
        seen.add(current)
        if graph.kinds[current] is NodeKind.COMPUTE and _reduces(current):
            return True
        waiting += current.all_input_nodes
    return False
