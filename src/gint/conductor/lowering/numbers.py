"""Numbers that lie on another device than the tensors they are combined with."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from ..graph.nodes import value_of
from .rules import has_rule

#: Operators that make a tensor of a number they are given.
_CONSTANTS = (torch.ops.aten.full.default, torch.ops.aten.scalar_tensor.default)


def bring_numbers(graph: fx.Graph, device: str) -> None:
    """Copies zero-dimensional CPU tensors to the device of the tensors they are combined with.

    torch lets such a tensor take part in an operation on any device; a program has to reach it.
    """
    if device == "cpu":
        return
    brought: dict[tuple[fx.Node, torch.device], fx.Node] = {}
    for node in list(graph.nodes):
        value = _first_tensor(value_of(node))
        if value is None or value.device.type == "cpu" or not has_rule(node.target):
            continue
        for operand in node.all_input_nodes:
            if _is_cpu_number(value_of(operand)):
                key = (operand, value.device)
                if key not in brought:
                    brought[key] = _brought(graph, operand, value.device)
                node.replace_input_with(operand, brought[key])
    graph.eliminate_dead_code()


def _first_tensor(value: Any) -> torch.Tensor | None:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return next((v for v in values if isinstance(v, torch.Tensor)), None)


def _is_cpu_number(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() == 0 and value.device.type == "cpu"


def _brought(graph: fx.Graph, node: fx.Node, device: torch.device) -> fx.Node:
    """A node that holds the number on the device: made there, if it is a constant."""
    after = node
    while after.next.op == "placeholder":  # placeholders come before everything else
        after = after.next
    with graph.inserting_after(after):
        if node.target in _CONSTANTS:
            made = graph.call_function(node.target, node.args, {**node.kwargs, "device": device})
        else:
            kwargs = {"device": device, "non_blocking": True}
            made = graph.call_function(torch.ops.aten._to_copy.default, (node,), kwargs)
    fake = value_of(node)
    with fake.fake_mode:
        made.meta["val"] = torch.empty((), dtype=fake.dtype, device=device)
    return made
