"""Graphs of ATen operators as the conductor reads them, and single programs emitted of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.nodes import Graph, NodeKind
from gint.conductor.lowering.emitted import Emitted
from gint.conductor.lowering.emitter import emit
from gint.conductor.lowering.kinds import read_graph
from gint.conductor.partition.partitioning import Limits, Partition, partition
from gint.program import disassemble

TYPES = frozenset({"f32", "f64", "i32", "i64", "bool", "i8", "u8", "i16"})
LIMITS = Limits(max_tensors=64, max_registers=4096, types=TYPES, check=True)


def traced(function: Callable, *inputs: Any, symbolic: bool = False) -> fx.GraphModule:
    """The graph of a function of tensors, some of them given by their shapes."""
    tensors = [torch.empty(x) if isinstance(x, tuple) else x for x in inputs]
    return make_fx(function, tracing_mode="symbolic" if symbolic else "fake")(*tensors)


def read(function: Callable, *inputs: Any, symbolic: bool = False) -> Graph:
    """The same with the kinds of its nodes."""
    return read_graph(traced(function, *inputs, symbolic=symbolic).graph, "cpu", None)


def returned(graph: Graph) -> list[fx.Node]:
    """What a graph returns."""
    (given,) = next(n for n in reversed(graph.fx.nodes) if n.op == "output").args
    return list(given) if isinstance(given, (tuple, list)) else [given]


def emitted(function: Callable, *inputs: Any, symbolic: bool = False, slots: int = 64) -> Emitted:
    """One program of all that a function returns."""
    graph = read(function, *inputs, symbolic=symbolic)
    outputs = [n for n in returned(graph) if graph.kinds[n] is NodeKind.COMPUTE]
    return emit(graph, set(outputs), outputs, outputs, slots)


def listing(function: Callable, *inputs: Any, symbolic: bool = False) -> list[str]:
    """The lines of such a program, but for its axes and slots."""
    made = emitted(function, *inputs, symbolic=symbolic)
    lines = [x.strip() for x in disassemble(made.recording.verified.program).splitlines()]
    return [x for x in lines if not x.startswith(("program", "axis", "slot"))]


def partitioned(
    function: Callable, *inputs: Any, symbolic: bool = False
) -> tuple[Graph, Partition]:
    """A graph and its partition."""
    graph = read(function, *inputs, symbolic=symbolic)
    return graph, partition(graph, LIMITS)
