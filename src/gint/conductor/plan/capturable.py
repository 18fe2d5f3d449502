"""Whether a graph's plan can be captured as a CUDA graph, and which inputs it writes into.

Knows FX graphs. Does not know CUDA; capturing and replaying is replay.py's business.
"""

from __future__ import annotations

import torch

from gint.plan import Plan
from gint.program.facts import may_fail

from ..graph.nodes import Graph, value_of
from ..graph.sizes import keys
from ..partition.partitioning import Partition

_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def why_not_captured(graph: Graph, partition: Partition) -> str | None:
    """Why a replay would not do what the plan does, or None."""
    if graph.device != "cuda":
        return f"its tensors are on {graph.device}"
    found = set()
    for node in graph.fx.nodes:
        value = value_of(node)
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, _SYMBOLIC):
                return f"the size {item} is symbolic"
            if isinstance(item, torch.Tensor):
                found.add(item.device)
                if any(not isinstance(k, int) for k in keys(item.shape)):
                    return f"the shape of {node} is symbolic"
                if item.device.type == "cpu":
                    return f"{node} is on the CPU"
        if node.meta.get("unbacked_bindings"):
            return f"{node} depends on data"
    if len(found) > 1:
        return f"its tensors are on {', '.join(sorted(map(str, found)))}"
    if any(u.is_launch and may_fail(u.program.recording.verified.program) for u in partition.units):
        return "an integer division by zero would not be noticed"
    return None


def written_inputs(plan: Plan) -> frozenset[int]:
    """The inputs, by number, that the plan writes into."""
    return frozenset(n for n, given in enumerate(plan.inputs) if given.written)
