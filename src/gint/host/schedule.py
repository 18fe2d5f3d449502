"""Arranging recorded values into sections.

A value's *stage* is the number of reductions below it. Sections come in this order:

    scalar 0, reduce 0, scalar 1, reduce 1, ..., scalar K, map, scalar (stores)

What varies over the parallel axes alone is computed once, in the scalar section of its stage;
what varies over reduced axes is computed again in every section that needs it. All stores come
after all loads of the same tile, so that a slot may be written in place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import field
from typing import NamedTuple

from gint.dataclass import frozen
from gint.isa import DType, Form, Instruction, Opcode, opcode
from gint.isa.instruction import NONE
from gint.program import Section, SectionKind


@frozen(eq=False)
class Node:
    """A recorded value: an opcode applied to nodes. `order` is the order of recording."""

    op: Opcode
    type: DType
    operands: tuple[Node, ...]
    n: int
    imm: int | float | bool
    varies: frozenset[int]
    order: int
    #: The type of the value: other than `type` where it is compared, loaded or cast.
    result: DType = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "result", self.op.result_type(self.type))

    @property
    def is_reduction(self) -> bool:
        return self.op.form is Form.REDUCE


class Store(NamedTuple):
    """A value stored to slot number `slot`; `varies` are the slot's axes, `dtype` its type."""

    slot: int
    node: Node
    dtype: DType
    varies: frozenset[int]


def schedule(
    stores: list[Store], parallel: frozenset[int], has_reduced: bool
) -> tuple[Section, ...]:
    """The sections that compute and store what `stores` asks for."""
    return _Scheduler(stores, parallel, has_reduced).run()


def most_instructions(nodes: Collection[Node], stores: int, has_reduced: bool) -> int:
    """A bound on what `schedule` makes of these nodes, and on its registers: at worst all of them
    are computed in each of its sections."""
    sections = 2 * sum(n.is_reduction for n in nodes) + 4 if has_reduced else 1
    return sections * len(nodes) + stores


class _Scheduler:
    def __init__(self, stores: list[Store], parallel: frozenset[int], has_reduced: bool) -> None:
        self.stores, self.parallel = stores, parallel
        self.has_reduced = has_reduced
        self.nodes = _reachable(s.node for s in stores)
        self.stage = self._stages()
        self.shared: dict[Node, int] = {}  # nodes whose register later sections may read
        self.sections: list[Section] = []
        self.next_register = 0

    def _stages(self) -> dict[Node, int]:
        stage: dict[Node, int] = {}
        for node in self.nodes:
            below = max((stage[o] for o in node.operands), default=0)
            stage[node] = below + node.is_reduction
        return stage

    def run(self) -> tuple[Section, ...]:
        if not self.has_reduced:
            self._emit(SectionKind.MAP, [s.node for s in self.stores], self.stores)
            return tuple(self.sections)
        # A slot over the parallel axes alone is stored in a scalar section.
        rows = [s for s in self.stores if s.varies <= self.parallel]
        full = [s for s in self.stores if s not in rows]
        last = max(self.stage.values(), default=0)
        for stage in range(last + 1):
            self._scalars(stage)
            self._reductions(stage)
        if full:
            self._emit(SectionKind.MAP, [s.node for s in full], full)
        if rows:
            self._emit(SectionKind.SCALAR, [s.node for s in rows], rows)
        return tuple(self.sections)

    def _scalars(self, stage: int) -> None:
        wanted = [n for n in self.nodes if self.stage[n] == stage and self._is_scalar(n)]
        if wanted:
            self._emit(SectionKind.SCALAR, wanted)

    def _is_scalar(self, node: Node) -> bool:
        return node.varies <= self.parallel and not node.is_reduction

    def _reductions(self, stage: int) -> None:
        wanted = [n for n in self.nodes if n.is_reduction and self.stage[n] == stage + 1]
        if wanted:
            self._emit(SectionKind.REDUCE, wanted)

    def _emit(self, kind: SectionKind, wanted: list[Node], stores: Iterable[Store] = ()) -> None:
        local = dict(self.shared)
        code: list[Instruction] = []
        for node in _reachable(wanted, stop=local):
            local[node] = self.next_register
            self.next_register += 1
            code.append(_instruction(node, local))
            if node.is_reduction or kind is SectionKind.SCALAR:
                self.shared[node] = local[node]
        for store in stores:
            code.append(
                Instruction(opcode("store"), store.dtype, a=local[store.node], n=store.slot)
            )
        self.sections.append(Section(kind, tuple(code)))


def _reachable(roots: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """All nodes below `roots`, operands first, in the order of recording."""
    found, waiting, known = set(), list(roots), set(stop)
    while waiting:
        node = waiting.pop()
        if node not in found and node not in known:
            found.add(node)
            waiting.extend(node.operands)
    return sorted(found, key=lambda node: node.order)


def _instruction(node: Node, register: dict[Node, int]) -> Instruction:
    fields = [register[o] for o in node.operands] + [NONE] * 3
    a, b, c = fields[:3]
    return Instruction(node.op, node.type, register[node], a, b, c, node.n, node.imm)
