"""Lists of tensors that are written (`torch._foreach_add_` and others) where some share memory.

Knows graphs of Dynamo's. Does not know what becomes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import fx


def write_one_after_the_other(graph: fx.Graph) -> None:
    """Call what writes into the tensors of a list once for each, where some share memory: eager
    lets a later one see what an earlier one wrote, and torch's functionalisation does not."""
    for node in list(graph.nodes):
        name = getattr(node.target, "__name__", "")
        writes = node.op == "call_function" and name.startswith("_foreach_") and name[-1] == "_"
        if not writes or node.users or not _share_memory(node):
            continue
        with graph.inserting_before(node):
            for n in range(len(node.args[0])):
                args = tuple(x[n : n + 1] if isinstance(x, (list, tuple)) else x for x in node.args)
                options = {
                    name: x[n : n + 1] if isinstance(x, (list, tuple)) else x
                    for name, x in node.kwargs.items()
                }
                graph.call_function(node.target, args, options)
        graph.erase_node(node)


def _share_memory(node: fx.Node) -> bool:
    """Whether what is written lies in the storage of another place's tensor."""
    places: dict[int, set[int]] = {}
    for tensors in (*node.args, *node.kwargs.values()):
        for n, storage in _storages(tensors):
            places.setdefault(storage, set()).add(n)
    return any(len(places[storage]) > 1 for _, storage in _storages(node.args[0]))


def _storages(tensors: Any) -> Iterator[tuple[int, int]]:
    """Of a list of nodes, the places of tensors, and what tells their storages apart."""
    for n, x in enumerate(tensors if isinstance(tensors, (list, tuple)) else ()):
        value = x.meta.get("example_value") if isinstance(x, fx.Node) else None
        if isinstance(value, torch.Tensor) and value.layout is torch.strided:
            yield n, value.untyped_storage()._cdata
