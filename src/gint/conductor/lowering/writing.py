"""Writes into a piece of a value: stored, where the rest lies (graph/writes.py), never computed."""

from __future__ import annotations

from torch import fx

from gint.host.frontend import Value

from ..graph.nodes import Graph
from ..graph.writes import WRITES, can_be_stored
from .emitter import Context
from .rules import lowered_where, lowers


@lowered_where(*WRITES)
def _is_stored(node: fx.Node, graph: Graph) -> bool:
    return can_be_stored(node)


@lowers(*WRITES)
def _write(c: Context) -> Value:
    """Whoever reads the whole reads memory."""
    c.block()
