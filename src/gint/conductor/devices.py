"""What differs with the device tensors live on: memory for results, the stream of a launch, and
numbers that lie elsewhere.

Knows torch's devices. Does not know backends: which of them runs a device's tensors is
selection.py's business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import fx

from . import lowering
from .graph import value_of

#: Operators that make a tensor of a number they are given.
_CONSTANTS = (torch.ops.aten.full.default, torch.ops.aten.scalar_tensor.default)


def allocator(device: torch.device) -> Callable[..., torch.Tensor]:
    """`torch.empty_strided(size, stride, dtype)` on a device other than the CPU, by torch's own
    allocator: what it hands out belongs to the current stream, on which the launch runs too."""
    short = getattr(torch._C._dynamo.guards, "_empty_strided_cuda", None)
    # torch's shortcut allocates on the current device; where there is one only, it is that.
    if device.type == "cuda" and short is not None and torch.cuda.device_count() == 1:
        return short
    return partial(_empty_strided, device)


def _empty_strided(
    device: torch.device, size: tuple, stride: tuple, dtype: torch.dtype
) -> torch.Tensor:
    return torch.empty_strided(size, stride, dtype=dtype, device=device)


def scratch(device: torch.device) -> Callable[[int], torch.Tensor]:
    """So many bytes from torch's allocator; they are the launch's until the tensor is dropped."""
    return partial(torch.empty, dtype=torch.uint8, device=device)


def current_stream(device: torch.device) -> Callable[[int], int]:
    """torch's current stream on the device of an ordinal, as the number a backend takes."""
    raw = getattr(torch._C, f"_{device.type}_getCurrentRawStream", None)
    return raw or (lambda ordinal: 0)


def bring_numbers(graph: fx.Graph, device: str) -> None:
    """Copies zero-dimensional CPU tensors to the device of the tensors they are combined with.

    torch lets such a tensor take part in an operation on any device; a program has to reach it.
    """
    if device == "cpu":
        return
    brought: dict[tuple[fx.Node, torch.device], fx.Node] = {}
    for node in list(graph.nodes):
        value = _first_tensor(value_of(node))
        if value is None or value.device.type == "cpu" or not lowering.has_rule(node.target):
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
