"""Which values are stored once rather than computed again: an estimate in bytes moved."""

from __future__ import annotations

from torch import fx

from ..graph.externs import name_of
from ..graph.nodes import Graph, NodeKind, value_of
from ..graph.sizes import numel_hint

#: Operators that cost far more than a load; their weight in loads per element, below.
_HEAVY = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos",
    "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "sigmoid",
    "pow", "gelu", "gelu_backward", "silu", "silu_backward", "_softmax", "_log_softmax",
    "_softmax_backward_data", "_log_softmax_backward_data", "native_layer_norm", "_fused_rms_norm",
    "sum", "mean", "prod", "amax", "amin", "max", "min", "any", "all", "var", "var_mean", "argmax",
    "argmin", "linalg_vector_norm",
}  # fmt: skip
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


def _below(graph, node, stored, work) -> tuple[frozenset[fx.Node], float]:
    """The memory a value is computed from, and the work in equivalent bytes."""
    name = name_of(node.target).rpartition(".")[2]
    weight = _HEAVY_WEIGHT if name in _HEAVY else _LIGHT_WEIGHT
    total = weight * _bytes(node)
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
