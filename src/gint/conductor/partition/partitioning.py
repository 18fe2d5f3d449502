"""Which values are stored, and which stored values share a program.

Every value that somebody outside programs needs is stored. A value several programs would need is
stored once or computed again, whichever moves fewer bytes. Everything else is computed where it
is used. A stored value joins the program that makes or reads what it reads, where the axes agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from torch import fx

from gint.program import VerificationError

from ..graph.nodes import Graph, NodeKind
from ..graph.writes import is_nested, is_write
from ..lowering.emitted import Emitted, Recording
from ..lowering.emitter import BlockedError, UnfitError
from ..lowering.rules import NotLowerableError
from .cost import worth_storing
from .inplace import place_outputs
from .layers import Layers
from .order import Order, Unit, mutates, sort

#: How many groups a value is tried with before it gets a program of its own.
_MAX_TRIES = 4
#: Stored values in one program at most; keeps the cost of trying bounded.
_MAX_MEMBERS = 12
#: A program longer than this takes no further value, for the same reason.
_MAX_INSTRUCTIONS = 256


class Partition(NamedTuple):
    """The units in order; `placed` maps values to the inputs they are stored into."""

    units: list[Unit]
    placed: dict[fx.Node, fx.Node]


class Limits(NamedTuple):
    """What a backend takes in one program, and whether exceptions of lowering rules are raised
    (see GraphPartitioner)."""

    max_tensors: int
    max_registers: int
    types: frozenset[str]
    check: bool


class _Restart(Exception):
    """A node turned out not to be lowerable; kinds have changed."""


def partition(graph: Graph, limits: Limits) -> Partition:
    """The units in an order in which they can run. Nodes that no program can compute are refused
    on the way: their kinds change."""
    while True:
        try:
            return _Partitioning(graph, limits).run()
        except _Restart:
            continue


class _Partitioning:
    def __init__(self, graph: Graph, limits: Limits) -> None:
        self.graph, self.limits = graph, limits
        self.order = Order(graph)
        self.epoch = 0
        self.required: set[fx.Node] = set()
        self.stored: set[fx.Node] = set()

    def run(self) -> Partition:
        kinds = self.graph.kinds
        self.required = self._required()
        self.stored = self.required | worth_storing(self.graph, self.required)
        self.layers = Layers(self.graph, self.stored, self.limits.max_tensors)
        for node in self.graph.fx.nodes:
            if kinds[node] is NodeKind.COMPUTE and node in self.stored:
                self._place(node)
            elif kinds[node] in (NodeKind.EXTERN, NodeKind.FALLBACK):
                self._leave_whole(node)
        self._drop_unused()
        self._verify()
        before = self.order.before()
        placed = place_outputs(self.graph, self.order, before)
        position = {node: i for i, node in enumerate(self.graph.fx.nodes)}
        return Partition(sort(before, position), placed)

    def _required(self) -> set[fx.Node]:
        """Computed values that somebody outside programs needs, or that are used after a mutation
        which comes after them: computed again they might be others."""
        kinds = self.graph.kinds
        required: set[fx.Node] = set()
        epoch, made = 0, {}
        for node in self.graph.fx.nodes:
            made[node] = epoch
            if kinds[node] in (NodeKind.EXTERN, NodeKind.FALLBACK, NodeKind.OUTPUT):
                required.update(self._computed_inputs(node))
                epoch += mutates(node)
            elif kinds[node] is NodeKind.COMPUTE and epoch:
                required.update(n for n in self._computed_inputs(node) if made[n] < epoch)
            if is_write(self.graph, node) and not is_nested(self.graph, node):
                required.add(node)
                required.update(self._computed(node.args[0]))
        return required

    def _computed_inputs(self, node: fx.Node) -> Iterator[fx.Node]:
        for source in node.all_input_nodes:
            yield from self._computed(source)

    def _computed(self, value: fx.Node) -> Iterator[fx.Node]:
        if self.graph.kinds[value] is NodeKind.TUPLE:
            yield from self._computed_inputs(value)
        elif self.graph.kinds[value] in (NodeKind.VIEW, NodeKind.COMPUTE):
            base = self.graph.base(value)
            if self.graph.kinds[base] is NodeKind.COMPUTE:
                yield base

    # Nodes left whole

    def _leave_whole(self, node: fx.Node) -> None:
        barrier = mutates(node)
        self.epoch += barrier
        self.order.add(Unit([node], self.epoch))
        self.epoch += barrier

    # Stored values

    def _place(self, node: fx.Node) -> None:
        """Put a stored value into a group that takes it, or into its own."""
        if node in self.order.unit_of:
            return
        alone = self._emit_alone(node)
        for unit in self._partners(node, alone):
            emitted = self._emit_joined(unit, node)
            # What is stored by now may be read where it was computed again before.
            if emitted is not None and self.order.may_run(unit, emitted):
                self.order.join(unit, list(emitted.members), emitted)
                return
        self.order.add(Unit([node], self.epoch, alone))

    def _emit_joined(self, unit: Unit, node: fx.Node) -> Emitted | None:
        """The program of a group and one more value, or None where there is none.

        A fold over all of the group's dimensions has axes for them only where it comes first.
        """
        try:
            return self._emit([*unit.nodes, node])
        except (BlockedError, NotLowerableError):
            return None
        except UnfitError:
            pass
        try:
            return self._emit([node, *unit.nodes])
        except (BlockedError, UnfitError, NotLowerableError):
            return None

    def _emit(self, members: list[fx.Node], outputs: list[fx.Node] | None = None) -> Emitted:
        emitted = self.layers.emit(members, members if outputs is None else outputs)
        self._check(emitted.recording)
        return emitted

    def _check(self, recording: Recording) -> None:
        """Whether the backend takes a program. What is recorded says more than the program needs:
        that is scheduled only where it would be too much."""
        most, types = self.limits.max_registers, self.limits.types
        if recording.most_instructions > most:
            registers = recording.bytecode.register_count
            if registers > most:
                raise UnfitError(f"{registers} registers; the backend has {most}")
        if recording.types <= types:
            return
        if missing := recording.bytecode.computed_types - types:
            raise NotLowerableError(f"it is computed in {min(missing)}, which the device lacks")

    def _emit_alone(self, node: fx.Node) -> Emitted:
        """The program of one value; what blocks it is stored first."""
        while True:
            try:
                return self._emit([node])
            except BlockedError as blocked:
                culprit = blocked.node
            except UnfitError:
                culprit = self._nearest_operand(node)
            except NotLowerableError as refusal:
                self._refuse(refusal.node or node, str(refusal))
            except Exception as error:
                if self.limits.check:
                    raise
                reason = f"the lowering failed: {_named(error)}"
                self._refuse(getattr(error, "node", node), reason)
            if culprit is node or culprit in self.stored:
                self._refuse(node, "its axes do not fit one program")
            self.stored.add(culprit)
            self._place(culprit)

    def _nearest_operand(self, node: fx.Node) -> fx.Node:
        """The computed value below `node` nearest to it; storing it cuts the program there."""
        waiting, seen = deque([node]), {node}
        while waiting:
            for base in self._computed_inputs(waiting.popleft()):
                if base not in self.stored:
                    return base
                if base not in seen:
                    seen.add(base)
                    waiting.append(base)
        return node

    def _refuse(self, node: fx.Node, reason: str) -> None:
        self.graph.refuse(node, reason)
        raise _Restart

    def _partners(self, node: fx.Node, alone: Emitted) -> list[Unit]:
        """Groups that make or read what `node` reads, nearest first, that it may join. Writes stay
        alone: the rest of what they write into must lie there before."""
        if is_write(self.graph, node):
            return []
        read = {slot.node for slot in alone.slots if slot.node is not node}
        makers = {self.order.unit_of[n] for n in read if n in self.order.unit_of}
        near = [
            unit for unit in self.order.touching(read)
            if unit.epoch == self.epoch and len(unit.nodes) < _MAX_MEMBERS
            and not _is_long(unit.program.recording) and not is_write(self.graph, unit.nodes[0])
        ]  # fmt: skip
        near.sort(key=lambda unit: (unit not in makers, -unit.number))
        return [u for u in near[: 2 * _MAX_TRIES] if self.order.may_run(u, alone)][:_MAX_TRIES]

    # The result

    def _drop_unused(self) -> None:
        """Values that turned out to be needed only inside their own program are not stored."""
        needed = set(self.required)
        launches = [unit for unit in self.order.units if unit.is_launch]
        for unit in launches:
            needed |= {s.node for s in unit.program.slots if s.node not in unit.nodes}
        for unit in launches:
            outputs = [n for n in unit.nodes if n in needed]
            if not outputs:
                self.order.units.remove(unit)
            elif len(outputs) < len(unit.nodes):
                self._emit_again(unit, outputs)

    def _emit_again(self, unit: Unit, outputs: list[fx.Node]) -> None:
        """Fewer outputs, unless what was read where it was stored takes too many registers now."""
        try:
            emitted = self._emit(unit.nodes, outputs)
        except UnfitError:
            return
        if self.order.may_run(unit, emitted):
            unit.emitted = emitted

    def _verify(self) -> None:
        """What is kept is verified; a program that is refused is a mistake of a lowering."""
        for unit in self.order.units:
            try:
                if unit.is_launch:
                    unit.program.recording.verified  # noqa: B018
            except VerificationError as error:
                if self.limits.check:
                    raise
                self._refuse(unit.nodes[-1], f"the lowering failed: {_named(error)}")


def _is_long(recording: Recording) -> bool:
    is_short = recording.most_instructions < _MAX_INSTRUCTIONS
    return not is_short and recording.bytecode.instruction_count >= _MAX_INSTRUCTIONS


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
