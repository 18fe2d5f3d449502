"""What goes on around a compiled call that only torch's own operators take part in, and what
torch's tracing loses.

A plan computes numbers. Forward-mode tangents and fake tensors are carried along by operators.
Dynamo compiles anew for tensors of another class, and not wherever a dual level or a mode begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad


def why_eager(example_inputs: Iterable[Any]) -> str | None:
    """Why a graph called with these, here and now, is left to eager as it is; or None."""
    if forward_ad._current_level >= 0:
        return "it is called inside of a forward-mode dual level: tensors may have tangents"
    if any(isinstance(x, FakeTensor) for x in example_inputs):
        return "it is called with fake tensors, which have no values"
    return None


def why_not_traced(graph: fx.Graph) -> str | None:
    """Why a graph of Dynamo's must not come to AOTAutograd; or None.

    A scalar of float64 on the CPU has a symbol for its value. Where that leaves the graph,
    AOTAutograd has Dynamo begin anew, which then takes every node of such a scalar for unused that
    has no users: also those that write into it.
    """
    for node in graph.nodes:
        value = node.meta.get("example_value")
        if node.op in ("call_function", "call_method") and not node.users and _has_symbol(value):
            return f"{node} writes into a scalar of float64, which torch's tracing would lose"
    return None


def _has_symbol(value: Any) -> bool:
    is_scalar = isinstance(value, FakeTensor) and value.dim() == 0 and value.dtype is torch.float64
    return is_scalar and value.item_memo is not None
