"""Dropouts that drop nothing. In eager they return what they are given, so that what is written
into the result is written there; torch's tracing makes a copy of it.

Knows graphs of Dynamo's, and torch.export's programs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_DROPOUTS = (torch.nn.functional.dropout, torch.dropout, torch.ops.aten.dropout.default)


def pass_through_dropouts(graph: fx.Graph) -> None:
    """Put the argument of each dropout that drops nothing in its place."""
    _replace(graph, [n for n in graph.nodes if _is_idle(n)])


@contextmanager
def without_dropouts(exported: ExportedProgram) -> Iterator[None]:
    """Let a program have none of those inside, but for its results, which its signature names."""
    module, whole = exported.graph_module, exported.graph_module.graph
    if any(map(_is_idle, whole.nodes)):
        graph = copy.deepcopy(whole)
        named = graph.output_node().all_input_nodes
        _replace(graph, [n for n in graph.nodes if _is_idle(n) and n not in named])
        module.graph = graph
    try:
        yield
    finally:
        module.graph = whole


def _replace(graph: fx.Graph, dropouts: list[fx.Node]) -> None:
    for node in dropouts:
        node.replace_all_uses_with(node.args[0] if node.args else node.kwargs["input"])
        graph.erase_node(node)


def _is_idle(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target in _DROPOUTS and _drops_nothing(node)


def _drops_nothing(node: fx.Node) -> bool:
    p: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("p", 0.5)
    called = "training" if "training" in node.kwargs else "train"
    trains = node.args[2] if len(node.args) > 2 else node.kwargs.get(called, True)
    is_known = type(trains) is bool and isinstance(p, (int, float)) and 0 <= p <= 1
    return is_known and (not trains or p == 0)
