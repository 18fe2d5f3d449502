"""Partitions of functions of three matrices, run unit by unit by a small machine.

It computes with torch but keeps memory as the plan does: a value that was placed shares the memory
of its input.
"""

from __future__ import annotations

import itertools

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.lowering.kinds import read_graph
from gint.conductor.partition.order import Unit
from gint.conductor.partitioner import GraphPartitioner, Partition

COPY = torch.ops.aten.copy_.default
INPUTS = 3


def inputs() -> list[torch.Tensor]:
    """Square matrices, so that they can be transposed and multiplied."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(5, 5, generator=generator) for _ in range(INPUTS)]


class Case:
    """A function partitioned; what it is placed into."""

    def __init__(self, function) -> None:
        self.module = make_fx(function, tracing_mode="fake")(*inputs())
        self.module.graph.eliminate_dead_code()
        self.graph = read_graph(self.module.graph, "cpu", None)
        self.partition: Partition = GraphPartitioner(check=True).partition(self.graph)

    @property
    def placed(self) -> dict[str, str]:
        """The name of each placed value -> that of the input it is stored into."""
        return {v.name: x.name.removesuffix("_1") for v, x in self.partition.placed.items()}

    @property
    def copies(self) -> int:
        return sum(u.nodes[0].target is COPY for u in self.partition.units)


class Memory:
    """What lies where while units run."""

    def __init__(self, case: Case, given: list[torch.Tensor]) -> None:
        self.graph, self.placed = case.graph, case.partition.placed
        placeholders = [n for n in case.module.graph.nodes if n.op == "placeholder"]
        self.tensors: dict[fx.Node, torch.Tensor] = dict(zip(placeholders, given, strict=True))

    def run(self, units: list[Unit]) -> None:
        for unit in units:
            if unit.is_launch:
                self.launch(unit)
            else:
                node = unit.nodes[0]
                made = self.call(node, {})
                if node in self.placed:
                    made = self.tensors[self.placed[node]].copy_(made)
                self.tensors[node] = made

    def launch(self, unit: Unit) -> None:
        """All is computed, then all is stored; of the order within, see below."""
        known: dict[fx.Node, torch.Tensor] = {}
        for node in unit.program.outputs:
            self.value(node, known, make=True)
        for node in unit.program.outputs:
            if node in self.placed:
                self.tensors[node] = self.tensors[self.placed[node]].copy_(known[node])
            else:
                self.tensors[node] = known[node].clone()

    def value(self, node: fx.Node, known: dict, make: bool = False) -> torch.Tensor:
        """What memory has, or what is computed from it on the way."""
        if node in self.tensors and not make:
            return self.tensors[node]
        if node not in known:
            known[node] = self.call(node, known)
        return known[node]

    def call(self, node: fx.Node, known: dict) -> torch.Tensor:
        args = fx.map_arg(node.args, lambda n: self.value(n, known))
        return node.target(*args, **node.kwargs)

    def returned(self) -> list[torch.Tensor]:
        output = next(reversed(self.graph.fx.nodes))
        return [self.value(n, {}) for n in output.args[0]]


def assert_like_eager(case: Case, function) -> None:
    ours, theirs = inputs(), inputs()
    memory = Memory(case, ours)
    memory.run(case.partition.units)
    expected = function(*theirs)
    for found, wanted in zip([*ours, *memory.returned()], [*theirs, *expected], strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def assert_written_after_read(case: Case) -> None:
    """A program that stores into an input reads of it only the element it then writes, or those it
    leaves as they are."""
    for unit in case.partition.units:
        if not unit.is_launch:
            continue
        program = unit.program.recording.verified.program
        slots = list(zip(program.slots, unit.program.slots, strict=True))
        for value, target in case.partition.placed.items():
            if value not in unit.nodes:
                continue
            written = next(places(s, x, unit) for s, x in slots if x.node is value)
            for slot, source in slots:
                if case.graph.memory(source.node) is target:
                    read = places(slot, source, unit)
                    assert read == written or not set(read) & set(written)


def places(slot, source, unit: Unit) -> list[int]:
    """The element a slot shows at each point of the program's axes, relative to its memory."""
    extents = unit.program.recording.extents
    steps = dict(zip(slot.axes, source.strides, strict=True))
    return [
        source.offset + sum(step * p[axis] for axis, step in steps.items())
        for p in itertools.product(*map(range, extents))
    ]
