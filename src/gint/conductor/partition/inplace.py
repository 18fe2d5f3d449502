"""Writing a value where another lies.

AOTAutograd ends a graph that mutates inputs with `copy_(input, value)`. Where the value is made by
a program, or written where positions say, and nobody reads the input's old content afterwards, it
is stored straight into the input's memory and the copy is gone. So is the one that such a write,
or one into a piece, makes of its first argument, where that was made here and nobody reads it
afterwards.
"""

from __future__ import annotations

import torch
from torch import fx

from gint.program.regions import Region, disjoint

from ..graph.into import changed, is_scatter, writes_into
from ..graph.nodes import Graph, NodeKind, tensor_of
from ..graph.writes import is_write
from .order import Order, Unit

_COPY = torch.ops.aten.copy_.default


def place_outputs(
    graph: Graph, order: Order, before: dict[Unit, set[Unit]]
) -> dict[fx.Node, fx.Node]:
    """Value -> the input, or the value made here, whose memory it is stored into. Adds what must
    run first to `before`, and takes the copies that are no longer needed out of it."""
    placed: dict[fx.Node, fx.Node] = {}
    output = next(n for n in graph.fx.nodes if n.op == "output")
    returned = {graph.memory(n) for n in output.all_input_nodes}
    for unit in order.units:
        node = unit.nodes[0]
        if unit.is_launch or node.target is not _COPY:
            continue
        target, value = node.args[:2]
        maker = order.unit_of.get(value)
        if maker is None or value in placed or target in placed.values():
            continue
        if value in returned or graph.kinds[target] is not NodeKind.INPUT:
            continue
        if is_write(graph, value):
            is_there = _place_writes(graph, order, before, placed, value, target, unit, returned)
        else:
            is_there = _place(graph, before, placed, value, target, maker, unit)
        if is_there:
            _remove(unit, maker, before)
    _place_changes(graph, order, before, placed, returned)
    return placed


def _place_writes(
    graph: Graph, order: Order, before: dict[Unit, set[Unit]], placed: dict[fx.Node, fx.Node],
    value: fx.Node, target: fx.Node, copy: Unit, returned: set[fx.Node],
) -> bool:  # fmt: skip
    """Place a write into an input, and all those before it that began with that input."""
    writes = []
    while is_write(graph, value):
        writes.append(value)
        value = value.args[0]
    if value is not target or not returned.isdisjoint(writes):
        return False
    for node in reversed(writes):
        if not _place(graph, before, placed, node, node.args[0], order.unit_of[node], copy):
            for other in writes:
                placed.pop(other, None)
            return False
    return True


def _place_changes(
    graph: Graph, order: Order, before: dict[Unit, set[Unit]], placed: dict[fx.Node, fx.Node],
    returned: set[fx.Node],
) -> None:  # fmt: skip
    """Place what is written into a piece, or where positions say, into the value it changes."""
    for unit in order.units:
        node = unit.nodes[0]
        if unit not in before or node in placed or not (is_write(graph, node) or is_scatter(node)):
            continue
        target = changed(node)
        maker = order.unit_of.get(target) if target is not None else None
        if target is None or maker is None or not (maker.is_launch or writes_into(target)):
            continue  # not memory that the plan allocates
        if target in returned or graph.kinds[_placed_in(placed, target)] is NodeKind.INPUT:
            continue
        _place(graph, before, placed, node, target, unit, maker)


def _place(
    graph: Graph, before: dict[Unit, set[Unit]], placed: dict[fx.Node, fx.Node], value: fx.Node,
    target: fx.Node, maker: Unit, other: Unit,
) -> bool:  # fmt: skip
    """Place a value if its maker can run after all that read the target, `other` left out."""
    if not _may_replace(graph, maker, target, value):
        return False
    readers = _other_readers(graph, before, target, maker) - {other}
    if any(_reaches(reader, maker, before) for reader in readers):
        return False
    placed[value] = target
    before[maker] |= readers
    return True


def _placed_in(placed: dict[fx.Node, fx.Node], value: fx.Node) -> fx.Node:
    """The node that a value's memory was allocated for."""
    while value in placed:
        value = placed[value]
    return value


def _may_replace(graph: Graph, maker: Unit, target: fx.Node, value: fx.Node) -> bool:
    """Whether what makes a value may store it into the target's memory, whatever it reads there."""
    if not _same_layout(target, value):
        return False
    if maker.is_launch:
        return _reads_as_written(graph, maker, target, value)
    if not is_scatter(value):
        return False
    others = [n for n in value.all_input_nodes if graph.memory(n) is target]
    is_changed = others == [target] and changed(value) is target
    return not others or (is_changed and _is_first_alone(value, target))


def _is_first_alone(value: fx.Node, target: fx.Node) -> bool:
    """Whether a node is no argument of another, but the first."""
    rest: list[fx.Node] = []
    fx.node.map_arg((value.args[1:], value.kwargs), rest.append)
    return target not in rest


def _other_readers(
    graph: Graph, before: dict[Unit, set[Unit]], target: fx.Node, maker: Unit
) -> set[Unit]:
    return {u for u in before if u is not maker and _reads(graph, u, target)}


def _same_layout(target: fx.Node, value: fx.Node) -> bool:
    a, b = tensor_of(target), tensor_of(value)
    return (
        a.dtype == b.dtype
        and not a.fake.is_neg()
        and a.fake.device == b.fake.device
        and a.shape == b.shape
        and a.strides == b.strides
    )


def _reads(graph: Graph, unit: Unit, target: fx.Node) -> bool:
    if not unit.is_launch:
        return any(graph.memory(n) is target for n in unit.nodes[0].all_input_nodes)
    read = [slot.node for slot in unit.program.slots]
    read += [n.args[0] for n in unit.nodes if is_write(graph, n)]
    return any(graph.memory(n) is target for n in read)


def _reads_as_written(graph: Graph, maker: Unit, target: fx.Node, value: fx.Node) -> bool:
    """Whether the program reads the target only where it writes the value at the same time, or
    where it writes nothing."""
    emitted = maker.program
    slots = list(zip(emitted.recording.builder.slots, emitted.slots, strict=True))
    out = next(((s.axes, x.strides, x.offset) for s, x in slots if x.node is value), None)
    if out is None:
        return False
    reads = [(s.axes, x.strides, x.offset) for s, x in slots if x.anchor is target]
    touching = sum(graph.memory(x.node) is target for _, x in slots)
    extents = emitted.recording.extents
    return len(reads) == touching and all(r == out or _apart(r, out, extents) for r in reads)


def _apart(a: tuple, b: tuple, extents: tuple) -> bool:
    """Whether two slots' elements are others for sure. Each: axes, strides, offset."""
    regions = []
    for axes, strides, offset in (a, b):
        sizes = tuple([extents[axis] for axis in axes])
        if not all(isinstance(n, int) for n in (*sizes, *strides, offset)):
            return False
        regions.append(Region(offset, 1, sizes, tuple(strides)))
    return disjoint(*regions)


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
