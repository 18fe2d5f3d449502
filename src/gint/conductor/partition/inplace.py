"""Writing a mutated input where it lies.

AOTAutograd ends a graph that mutates inputs with `copy_(input, value)`. Where the value is made by
a program and nobody reads the input's old content afterwards, the program stores straight into the
input's memory and the copy is gone.
"""

from __future__ import annotations

import torch
from torch import fx

from ..graph.nodes import Graph, NodeKind, tensor_of
from .order import Order, Unit

_COPY = torch.ops.aten.copy_.default


def place_outputs(
    graph: Graph, order: Order, before: dict[Unit, set[Unit]]
) -> dict[fx.Node, fx.Node]:
    """Value -> the input it is stored into. Adds what must run first to `before`, and takes the
    copies that are no longer needed out of it."""
    placed: dict[fx.Node, fx.Node] = {}
    output = next(n for n in graph.fx.nodes if n.op == "output")
    returned = {graph.memory(n) for n in output.all_input_nodes}
    for unit in order.units:
        node = unit.nodes[0]
        if unit.is_launch or node.target is not _COPY:
            continue
        target, value = node.args[:2]
        maker = order.unit_of.get(value)
        if maker is None or not maker.is_launch or value in placed or target in placed.values():
            continue
        if value in returned or not _same_layout(graph, target, value):
            continue
        readers = {u for u in before if u not in (unit, maker) and _reads(graph, u, target)}
        if any(_reaches(reader, maker, before) for reader in readers):
            continue
        if not _reads_elementwise(graph, maker, target, value):
            continue
        placed[value] = target
        before[maker] |= readers
        _remove(unit, maker, before)
    return placed


def _same_layout(graph: Graph, target: fx.Node, value: fx.Node) -> bool:
    a, b = tensor_of(target), tensor_of(value)
    return (
        graph.kinds[target] is NodeKind.INPUT
        and a.dtype == b.dtype
        and not a.fake.is_neg()
        and a.fake.device == b.fake.device
        and a.shape == b.shape
        and a.strides == b.strides
    )


def _reads(graph: Graph, unit: Unit, target: fx.Node) -> bool:
    if unit.is_launch:
        return any(graph.memory(slot.node) is target for slot in unit.program.slots)
    return any(graph.memory(n) is target for n in unit.nodes[0].all_input_nodes)


def _reads_elementwise(graph: Graph, maker: Unit, target: fx.Node, value: fx.Node) -> bool:
    """Whether the program reads the input only where it writes the value."""
    emitted = maker.program
    slots = list(zip(emitted.emitter.builder.slots, emitted.slots, strict=True))
    out = next(((s.axes, x.strides, x.offset) for s, x in slots if x.node is value), None)
    if out is None:
        return False
    reads = [(s.axes, x.strides, x.offset) for s, x in slots if x.anchor is target]
    touching = sum(graph.memory(x.node) is target for _, x in slots)
    return all(r == out for r in reads) and len(reads) == touching


def _reaches(start: Unit, goal: Unit, before: dict[Unit, set[Unit]]) -> bool:
    """Whether `start` has to wait for `goal`."""
    waiting, seen = [start], set()
    while waiting:
        unit = waiting.pop()
        if unit is goal:
            return True
        if unit not in seen:
            seen.add(unit)
            waiting += before[unit]
    return False


def _remove(unit: Unit, instead: Unit, before: dict[Unit, set[Unit]]) -> None:
    needed = before.pop(unit)
    for needs in before.values():
        if unit in needs:
            needs.remove(unit)
            needs |= needed | {instead}
