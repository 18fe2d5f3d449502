"""What runs before what: units wait for what they read, for the symbols they are laid out by, and
for what must keep its place (random draws, effects, mutations).

Knows units and the nodes they read. Does not know what a program computes.
"""

from __future__ import annotations

import heapq
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import fx

from ..graph.nodes import Graph, defined_symbols, value_of
from ..graph.sizes import symbols_in
from ..graph.writes import is_write
from ..lowering.emitted import Emitted


@dataclass(eq=False)
class Unit:
    """One step of the plan: a node left whole, or a group of stored values in one program."""

    nodes: list[fx.Node]
    epoch: int
    emitted: Emitted | None = None
    #: Units to wait for although nothing of theirs is read.
    after: set[Unit] = field(default_factory=set)
    number: int = 0
    #: Bit n is set if this runs after unit number n, or is it.
    above: int = 0

    @property
    def is_launch(self) -> bool:
        return self.emitted is not None

    @property
    def program(self) -> Emitted:
        """The program of a launch."""
        assert self.emitted is not None
        return self.emitted

    def waits_for(self, other: Unit) -> bool:
        return bool(self.above >> other.number & 1)


class Order:
    """The units made so far and which of them wait for which, kept transitive as they grow."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.units: list[Unit] = []
        self.unit_of: dict[fx.Node, Unit] = {}
        self._touching: dict[fx.Node, list[Unit]] = {}
        self._makers: dict[str, Unit] = {}
        self._last: Unit | None = None

    def add(self, unit: Unit) -> None:
        unit.number = len(self.units)
        unit.above = 1 << unit.number
        self.units.append(unit)
        if not unit.is_launch:
            self._makers.update(dict.fromkeys(defined_symbols(unit.nodes[0]), unit))
            if _keeps_its_place(unit.nodes[0]):
                unit.after |= {self._last} if self._last else set()
                self._last = unit
        self._enter(unit, is_new=True)

    def join(self, unit: Unit, nodes: list[fx.Node], emitted: Emitted) -> None:
        """Another stored value for a launch: all of its values, in the order of their program."""
        unit.nodes = nodes
        unit.emitted = emitted
        self._enter(unit, is_new=False)

    def _enter(self, unit: Unit, is_new: bool) -> None:
        self.unit_of.update(dict.fromkeys(unit.nodes, unit))
        if unit.is_launch:
            for node in {slot.node for slot in unit.program.slots}:
                touching = self._touching.setdefault(node, [])
                if unit not in touching:
                    touching.append(unit)
        above = unit.above
        for needed in self.needs(unit):
            above |= needed.above
        if above != unit.above:
            bit = 1 << unit.number
            for other in self.units[unit.number :] if is_new else self.units:
                if other.above & bit:
                    other.above |= above

    def touching(self, nodes: Iterable[fx.Node]) -> set[Unit]:
        """The launches that make or read any of these."""
        return {unit for node in nodes for unit in self._touching.get(node, ())}

    def may_run(self, unit: Unit, emitted: Emitted) -> bool:
        """Whether a launch could run this program: nothing that needs waits for the launch."""
        return not any(u.waits_for(unit) for u in self._makers_for(emitted) if u is not unit)

    def needs(self, unit: Unit) -> set[Unit]:
        """The units that must have run, not counting those only they need."""
        if unit.is_launch:
            found = self._makers_for(unit.program)
        else:
            sources = unit.nodes[0].all_input_nodes
            found = self._made_by({self.graph.base(n) for n in sources})
            if self._makers:
                found |= self._defining(*(symbols_in(value_of(n)) for n in sources))
        return (found | unit.after) - {unit}

    def _makers_for(self, e: Emitted) -> set[Unit]:
        found = self._made_by({slot.node for slot in e.slots} | self._changed_by(e))
        if self._makers:
            found |= self._defining(e.recording.symbols)
        return found

    def _changed_by(self, e: Emitted) -> set[fx.Node]:
        """What the program writes a piece of."""
        writes = [n for n in e.outputs if is_write(self.graph, n)]
        return {self.graph.base(n.args[0]) for n in writes}

    def _made_by(self, nodes: Iterable[fx.Node]) -> set[Unit]:
        return {self.unit_of[n] for n in nodes if n in self.unit_of}

    def _defining(self, *names: frozenset[str]) -> set[Unit]:
        return {self._makers[s] for s in frozenset().union(*names) if s in self._makers}

    def before(self) -> dict[Unit, set[Unit]]:
        """What each unit needs; an epoch waits for the one before."""
        before = {unit: self.needs(unit) for unit in self.units}
        epochs: dict[int, list[Unit]] = {}
        for unit in self.units:
            epochs.setdefault(unit.epoch, []).append(unit)
        numbers = sorted(epochs)
        for earlier, later in pairwise(numbers):
            for unit in epochs[later]:
                before[unit] |= set(epochs[earlier])
        return before


def sort(before: dict[Unit, set[Unit]], position: dict[fx.Node, int]) -> list[Unit]:
    """Units so that what is needed comes before; else in the graph's own order."""
    users: dict[Unit, list[Unit]] = {unit: [] for unit in before}
    for unit, needs in before.items():
        for need in needs:
            users[need].append(unit)
    missing = {unit: len(needs) for unit, needs in before.items()}
    rank = {u: (u.epoch, max(position[n] for n in u.nodes), u.number) for u in before}
    ready = [(rank[u], u) for u in before if not missing[u]]
    heapq.heapify(ready)
    ordered: list[Unit] = []
    while ready:
        _, unit = heapq.heappop(ready)
        ordered.append(unit)
        for user in users[unit]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, (rank[user], user))
    assert len(ordered) == len(before), "the units form a cycle"
    return ordered


def mutates(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def _keeps_its_place(node: fx.Node) -> bool:
    """Whether a node draws random numbers, or is not ATen's and may have any effect."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.target is not operator.getitem
    is_random = torch.Tag.nondeterministic_seeded in node.target.tags
    return is_random or node.target.namespace not in ("aten", "prims")
