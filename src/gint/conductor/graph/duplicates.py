"""Equal values of a graph, computed once.

Decompositions write the same positions and weights anew for every neighbour they read. Within one
program equal values are recorded once anyhow; across programs each would be stored.

Knows FX nodes and what may be computed once. Does not know what a program computes.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable
from typing import Any

import torch
from torch import fx

from .arguments import argument_key
from .views import is_view

#: Memory without values is nobody else's.
_MEMORY = ("empty", "new_empty")


def merge_equal(graph: fx.Graph) -> None:
    """Let the users of a value that was computed before read that one.

    What the graph returns stays a tensor of its own, and so does what is computed on both sides of
    something that has an effect. A size that only data tells has a name, which is another one each
    time.
    """
    returned = returned_values(graph)
    known: dict[Hashable, fx.Node] = {}
    pure: dict[int, bool] = {}  # by the `id` of an operator, whose own hash is slow
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        target = node.target
        if id(target) not in pure:
            pure[id(target)] = _is_pure(target)
        if not pure[id(target)]:
            known.clear()
            continue
        if _is_memory(target) or node.meta.get("unbacked_bindings"):
            continue
        key = id(target), argument_key(node.args, _itself), argument_key(node.kwargs, _itself)
        first = known.setdefault(key, node)
        if first is not node and node not in returned:
            node.replace_all_uses_with(first)
            graph.erase_node(node)


def returned_values(graph: fx.Graph) -> set[fx.Node]:
    """The values whose memory the caller sees."""
    found: set[fx.Node] = set()
    waiting = [n for node in graph.nodes if node.op == "output" for n in node.all_input_nodes]
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        if node.target is operator.getitem or is_view(node.target):
            waiting += node.all_input_nodes
    return found


def _is_pure(target: Any) -> bool:
    """Whether a call with equal arguments has an equal result, and does nothing else."""
    if not isinstance(target, torch._ops.OpOverload):
        return getattr(target, "__module__", None) == operator.add.__module__  # of sizes, tuples
    is_known = target.namespace in ("aten", "prims")
    is_random = torch.Tag.nondeterministic_seeded in target.tags
    return is_known and not is_random and not target._schema.is_mutable


def _is_memory(target: Any) -> bool:
    return getattr(target, "__name__", "").startswith(_MEMORY)


def _itself(node: fx.Node) -> fx.Node:
    return node
