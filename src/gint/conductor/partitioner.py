"""From nodes to programs: which values are stored, and which stored values share a program.

Every value that somebody outside programs needs is stored. A value several programs would need is
stored once or computed again, whichever moves fewer bytes. Everything else is computed where it
is used. A stored value joins the program that makes or reads what it reads, where the axes agree.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx

from .cost import worth_storing
from .emitter import BlockedError, Emitted, UnfitError, emit
from .graph import Graph, NodeKind
from .inplace import place_outputs
from .lowering import NotLowerableError

#: How many groups a value is tried with before it gets a program of its own.
_MAX_TRIES = 4
#: Stored values in one program at most; keeps the cost of trying bounded.
_MAX_MEMBERS = 12


@dataclass(eq=False)
class Unit:
    """One step of the plan: a node left whole, or a group of stored values in one program."""

    nodes: list[fx.Node]
    epoch: int
    emitted: Emitted | None = None

    @property
    def is_launch(self) -> bool:
        return self.emitted is not None

    @property
    def program(self) -> Emitted:
        """The program of a launch."""
        assert self.emitted is not None
        return self.emitted


@dataclass(frozen=True)
class Partition:
    """The units in order; `placed` maps values to the inputs they are stored into."""

    units: list[Unit]
    placed: dict[fx.Node, fx.Node]


class _Restart(Exception):
    """A node turned out not to be lowerable; kinds have changed."""


class GraphPartitioner:
    """Partitions an FX graph into programs within a backend's constraints, and the nodes between.

    `max_tensors` bounds the tensor slots of one program; the conductor passes what the backend
    can. `check` re-raises exceptions of lowering rules that are bugs rather than refusals.
    """

    def __init__(self, max_tensors: int = 8, check: bool = False) -> None:
        self.max_tensors = max_tensors
        self.check = check

    def partition(self, graph: Graph) -> Partition:
        """The units in an order in which they can run."""
        while True:
            try:
                return _Partition(graph, self.max_tensors, self.check).run()
            except _Restart:
                continue


class _Partition:
    def __init__(self, graph: Graph, max_tensors: int, check: bool) -> None:
        self.graph, self.max_tensors, self.check = graph, max_tensors, check
        self.position = {node: i for i, node in enumerate(graph.fx.nodes)}
        self.unit_of: dict[fx.Node, Unit] = {}
        self.units: list[Unit] = []
        self.epoch = 0
        self.required: set[fx.Node] = set()
        self.stored: set[fx.Node] = set()
        self.placed: dict[fx.Node, fx.Node] = {}

    def run(self) -> Partition:
        kinds = self.graph.kinds
        left_whole = (NodeKind.EXTERN, NodeKind.FALLBACK, NodeKind.OUTPUT)
        for node in self.graph.fx.nodes:
            if kinds[node] in left_whole:
                self.required.update(self._computed_inputs(node))
        self.stored = self.required | worth_storing(self.graph, self.required)
        for node in self.graph.fx.nodes:
            if kinds[node] is NodeKind.COMPUTE and node in self.stored:
                self._place(node)
            elif kinds[node] in (NodeKind.EXTERN, NodeKind.FALLBACK):
                self._leave_whole(node)
        self._drop_unused()
        return Partition(self._ordered(), self.placed)

    def _computed_inputs(self, node: fx.Node) -> Iterator[fx.Node]:
        for source in node.all_input_nodes:
            if self.graph.kinds[source] in (NodeKind.VIEW, NodeKind.COMPUTE):
                base = self.graph.base(source)
                if self.graph.kinds[base] is NodeKind.COMPUTE:
                    yield base

    # Nodes left whole

    def _leave_whole(self, node: fx.Node) -> None:
        barrier = _mutates(node)
        self.epoch += barrier
        self._add(Unit([node], self.epoch))
        self.epoch += barrier

    def _add(self, unit: Unit) -> Unit:
        self.units.append(unit)
        for node in unit.nodes:
            self.unit_of[node] = unit
        return unit

    # Stored values

    def _place(self, node: fx.Node) -> None:
        """Put a stored value into a group that takes it, or into its own."""
        if node in self.unit_of:
            return
        alone = self._emit_alone(node)
        for unit in self._partners(node, alone):
            try:
                unit.emitted = self._emit([*unit.nodes, node])
            except (BlockedError, UnfitError, NotLowerableError):
                continue
            unit.nodes.append(node)
            self.unit_of[node] = unit
            return
        self._add(Unit([node], self.epoch, alone))

    def _emit(self, members: list[fx.Node]) -> Emitted:
        return emit(self.graph, self.stored, members, members, self.max_tensors)

    def _emit_alone(self, node: fx.Node) -> Emitted:
        """The program of one value; what blocks it is stored first."""
        while True:
            try:
                return self._emit([node])
            except BlockedError as blocked:
                culprit = blocked.node
            except UnfitError:
                culprit = self._largest_operand(node)
            except NotLowerableError as refusal:
                self._refuse(self.failing(refusal, node), str(refusal))
            except Exception as error:
                if self.check:
                    raise
                reason = f"the lowering failed: {type(error).__name__}: {error}"
                self._refuse(getattr(error, "node", node), reason)
            if culprit is node or culprit in self.stored:
                self._refuse(node, "its axes do not fit one program")
            self.stored.add(culprit)
            self._place(culprit)

    @staticmethod
    def failing(refusal: NotLowerableError, node: fx.Node) -> fx.Node:
        return refusal.node if refusal.node is not None else node

    def _largest_operand(self, node: fx.Node) -> fx.Node:
        """The computed value below `node` nearest to it; storing it cuts the program there."""
        waiting = [node]
        while waiting:
            current = waiting.pop(0)
            for base in self._computed_inputs(current):
                if base not in self.stored:
                    return base
                waiting.append(base)
        return node

    def _refuse(self, node: fx.Node, reason: str) -> None:
        self.graph.refuse(node, reason)
        raise _Restart

    def _partners(self, node: fx.Node, alone: Emitted) -> list[Unit]:
        """Groups that make or read what `node` reads, nearest first, that it may join."""
        read = {slot.node for slot in alone.slots if slot.node is not node}
        makers = {self.unit_of[n] for n in read if n in self.unit_of}
        near = [
            unit
            for unit in reversed(self.units)
            if unit.is_launch and unit.epoch == self.epoch and len(unit.nodes) < _MAX_MEMBERS
            and (unit in makers or any(slot.node in read for slot in unit.program.slots))
        ]  # fmt: skip
        near.sort(key=lambda unit: unit not in makers)
        return [u for u in near[: 2 * _MAX_TRIES] if self._may_join(u, read)][:_MAX_TRIES]

    def _may_join(self, unit: Unit, read: set[fx.Node]) -> bool:
        """Whether nothing that is read depends on the unit other than directly."""
        seen = {unit}
        waiting = [self.unit_of[n] for n in read if n in self.unit_of]
        waiting = [u for u in waiting if u is not unit]
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            for below in self._dependencies(current):
                if below is unit:
                    return False
                waiting.append(below)
        return True

    def _dependencies(self, unit: Unit) -> set[Unit]:
        if unit.is_launch:
            sources = {slot.node for slot in unit.program.slots}
        else:
            sources = {self.graph.base(n) for n in unit.nodes[0].all_input_nodes}
        found = {self.unit_of.get(n) for n in sources}
        return {u for u in found if u is not None and u is not unit}

    # The result

    def _drop_unused(self) -> None:
        """Values that turned out to be needed only inside their own program are not stored."""
        needed = set(self.required)
        for unit in self.units:
            if unit.is_launch:
                needed |= {s.node for s in unit.program.slots if s.node not in unit.nodes}
        for unit in self.units:
            if unit.is_launch:
                outputs = [n for n in unit.nodes if n in needed]
                if 0 < len(outputs) < len(unit.nodes):
                    unit.emitted = emit(
                        self.graph, self.stored, unit.nodes, outputs, self.max_tensors
                    )

    def _ordered(self) -> list[Unit]:
        """Units sorted so that what is read is made before; else in the graph's own order."""
        before = {unit: self._dependencies(unit) for unit in self.units}
        self._keep_random_order(before)
        self.placed = place_outputs(self.graph, self.units, self.unit_of, before)
        users: dict[Unit, list[Unit]] = {unit: [] for unit in self.units}
        for unit, needs in before.items():
            for need in needs:
                users[need].append(unit)
        missing = {unit: len(needs) for unit, needs in before.items()}
        rank = {u: (u.epoch, self.position[u.nodes[-1]], i) for i, u in enumerate(self.units)}
        ready = [(rank[u], u) for u in self.units if not missing[u]]
        heapq.heapify(ready)
        ordered: list[Unit] = []
        while ready:
            _, unit = heapq.heappop(ready)
            ordered.append(unit)
            for user in users[unit]:
                missing[user] -= 1
                if not missing[user]:
                    heapq.heappush(ready, (rank[user], user))
        assert len(ordered) == len(self.units), "the units form a cycle"
        return ordered

    def _keep_random_order(self, before: dict[Unit, set[Unit]]) -> None:
        """What draws random numbers keeps its order; an epoch waits for the one before."""
        import torch

        last: Unit | None = None
        previous: dict[int, list[Unit]] = {}
        for unit in self.units:
            previous.setdefault(unit.epoch, []).append(unit)
        for epoch in sorted(previous)[1:]:
            earlier = max(e for e in previous if e < epoch)
            for unit in previous[epoch]:
                before[unit] |= set(previous[earlier])
        for unit in self.units:
            tags = getattr(unit.nodes[0].target, "tags", ())
            if not unit.is_launch and torch.Tag.nondeterministic_seeded in tags:
                if last is not None:
                    before[unit].add(last)
                last = unit


def _mutates(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)
