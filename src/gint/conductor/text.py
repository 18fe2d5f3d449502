"""How a graph becomes a plan, as text: nodes with their kinds, units in order, and what each
program asks for. Made for `explain` alone."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import fx

from .graph.dtypes import gint_dtype
from .graph.indexing import Index, Map, SplitNeededError
from .graph.nodes import Graph, value_of
from .graph.sizes import Key
from .lowering.emitter import Emitter
from .partition.order import Unit

#: A longer cell moves what follows it.
_WIDEST = 48


def texts(graph: Graph, found: Sequence[Unit]) -> dict[str, Any]:
    """The fields of a record that are made for `explain`."""
    return {"nodes": nodes(graph), "units": units(found), "values": values(graph, found)}


def nodes(graph: Graph) -> str:
    """A line per node: kind, name, what it is, the value's type and shape."""
    return _aligned(
        (graph.kinds[node].value, node.name, _expression(node), _shown(value_of(node)))
        for node in graph.fx.nodes
    )


def units(found: Iterable[Unit]) -> str:
    """The steps of the plan in order; of a launch also what its slots show, in elements."""
    lines = []
    for unit in found:
        what = "launch" if unit.is_launch else "call"
        lines.append(f"{what:6}  {', '.join(node.name for node in unit.nodes)}\n")
        if unit.is_launch:
            lines.append(_aligned(_slots(unit)))
    return "".join(lines)


def _slots(unit: Unit) -> Iterable[tuple[str, ...]]:
    program = unit.program.recording.verified.program
    for slot, source in zip(program.slots, unit.program.slots, strict=True):
        axes = ", ".join(program.axes[axis].name for axis in slot.axes)
        strides = ", ".join(str(stride) for stride in source.strides)
        offset = "" if source.offset == 0 else f"offset {source.offset}"
        yield f"  {slot.name}", source.anchor.name, f"({axes})", f"strides ({strides})", offset


def values(graph: Graph, found: Sequence[Unit]) -> tuple[str, ...]:
    """For each launch: the values asked for, indented below what they are made into, at the axes'
    positions; `.` is always 0, `computed` a value of the program."""
    launches = [unit for unit in found if unit.is_launch]
    stored = {node for unit in launches for node in unit.program.outputs}
    return tuple(_asked(graph, stored, unit) for unit in launches)


def _asked(graph: Graph, stored: set[fx.Node], unit: Unit) -> str:
    splits: dict[int, tuple[Key, ...]] = {}
    while True:
        emitter = _Recorder(graph, stored, unit.nodes, len(unit.program.slots), splits)
        try:
            emitter.emit(list(unit.program.outputs))
            return _aligned(emitter.asked)
        except SplitNeededError as split:
            emitter.domain.split(split)
            splits = emitter.domain.splits


class _Recorder(Emitter):
    """Emits as ever, and notes what is asked for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[tuple[str, str, str]] = []

    def value(self, node: fx.Node, m: Map) -> Any:
        base = self.graph.base(node)
        note = "known" if (node, m) in self._values else "load" if self.is_loaded(base) else ""
        at = ", ".join(_position(index) for index in m)
        self.asked.append((f"{'  ' * self._depth}{node.name}", f"at ({at})", note))
        return super().value(node, m)


def _position(index: Index) -> str:
    if index.computed is not None:
        return "computed"
    terms = [f"x{axis}" if c == 1 else f"{c}*x{axis}" for axis, c in index.terms]
    if index.offset != 0:
        terms.append(str(index.offset))
    return " + ".join(terms) or "."


def _expression(node: fx.Node) -> str:
    if node.op in ("placeholder", "get_attr"):
        return ""
    if node.op == "output":
        return _argument(node.args[0])
    if node.target is operator.getitem:
        return f"{_argument(node.args[0])}[{node.args[1]}]"
    given = [_argument(a) for a in node.args]
    given += [f"{name}={_argument(a)}" for name, a in node.kwargs.items()]
    return f"{node.target}({', '.join(given)})"


def _argument(a: Any) -> str:
    if isinstance(a, (tuple, list)):
        text = ", ".join(_argument(item) for item in a)
        return f"[{text}]" if isinstance(a, list) else f"({text})"
    return a.name if isinstance(a, fx.Node) else str(a)


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        t = gint_dtype(value.dtype)
        return f"{t or value.dtype}[{', '.join(str(size) for size in value.shape)}]"
    if isinstance(value, (tuple, list)):
        return ", ".join(_shown(item) for item in value)
    return "" if value is None else str(value)


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    columns = zip(*rows, strict=True)
    width = [max((len(c) for c in column if len(c) <= _WIDEST), default=0) for column in columns]
    lines = ("  ".join(cell.ljust(width[k]) for k, cell in enumerate(row)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)
