"""Which values of a plan lie in its frame, and where.

Those that are made and used up within a call, of static size and small: nobody outside sees them,
so they may lie at the same place in every call, with the views of them made once. Two values whose
lives do not overlap may share memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import torch

from gint.dataclass import frozen
from gint.plan import Allocate, Call, Foreign, Launch, Plan, Release, Step, TensorType, View
from gint.plan.contents import symbols_in, uses, values_of
from gint.plan.operators import COPIES

from .entry_points import ROW_PRODUCTS, only_reads, overload
from .frames import ALIGNMENT, MOST_BYTES
from .memory import POOLED_BYTES, span


@frozen
class Spot:
    """Where a value lies in a frame, in bytes, and what it is."""

    offset: int
    type: TensorType


@frozen
class Placement:
    """The values in a frame of `nbytes`, and the views of them, in the order they are made."""

    spots: Mapping[int, Spot]
    views: Mapping[int, View]
    nbytes: int

    def holds(self, value: int) -> bool:
        return value in self.spots or value in self.views


def place(plan: Plan) -> Placement:
    """The placement of a plan's small intermediate values."""
    made = {
        s.value: s for s in plan.steps
        if isinstance(s, Allocate) and is_small(s) and _nbytes(s.type)
    }  # fmt: skip
    root = {value: value for value in made}
    views = {}
    for step in plan.steps:
        if isinstance(step, View) and step.of in root and not symbols_in(step):
            root[step.value] = root[step.of]
            views[step.value] = step
    seen = {root[v] for v in _seen_outside(plan, root)}
    lives = _lives(plan.steps, root)
    spots, nbytes = _fit({v: made[v] for v in made if v not in seen}, lives)
    return Placement(spots, {v: s for v, s in views.items() if root[v] in spots}, nbytes)


def is_small(step: Allocate) -> bool:
    """Whether memory is on the CPU, of static size, and too little for the pool."""
    return step.device == "cpu" and is_small_type(step.type)


@lru_cache(maxsize=1024)
def is_small_type(kind: TensorType) -> bool:
    """Whether a tensor has a static size, and too few bytes for the pool."""
    return not symbols_in((kind.size, kind.strides)) and _nbytes(kind) < POOLED_BYTES


def is_small_input(kind: TensorType | str | None) -> bool:
    """Whether an input is a number, or a tensor as above."""
    return not isinstance(kind, TensorType) or is_small_type(kind)


@lru_cache(maxsize=1024)
def _nbytes(kind: TensorType) -> int:
    return span(kind.size, kind.strides) * getattr(torch, kind.dtype).itemsize  # type: ignore


def _seen_outside(plan: Plan, root: Mapping[int, int]) -> Iterator[int]:
    """Values in `root` that are returned, or that a step may keep, show or ask something of."""
    yield from (v for v in uses(plan.result) if v in root)
    for step in plan.steps:
        if isinstance(step, (Allocate, Launch, Release)):
            continue
        if isinstance(step, View):
            harmless = step.value in root
        elif isinstance(step, Call):
            harmless = _only_reads(step.operator) or (step.into and step.operator in COPIES)
        else:
            harmless = False
        if not harmless:
            yield from (v for v in values_of(step) if v in root)


def _only_reads(operator: str | Foreign) -> bool:
    if isinstance(operator, Foreign):
        return operator.value in ROW_PRODUCTS
    return only_reads(overload(operator))


def _lives(steps: Sequence[Step], root: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """The first and the last step of each value or a view of it."""
    found: dict[int, list[int]] = defaultdict(list)
    for n, step in enumerate(steps):
        if isinstance(step, Release):
            continue
        for value in values_of(step):
            if value in root:
                found[root[value]].append(n)
    return {value: (at[0], at[-1]) for value, at in found.items()}


def _fit(
    made: Mapping[int, Allocate], lives: Mapping[int, tuple[int, int]]
) -> tuple[dict[int, Spot], int]:
    """Offsets: each value at the first place that is free for all its life, as long as the frame
    is small."""
    spots: dict[int, Spot] = {}
    taken: list[tuple[int, int, int]] = []  # start, end in bytes; the last step
    nbytes = 0
    for value in sorted(made, key=lambda v: lives[v][0]):
        first, last = lives[value]
        size = -(-_nbytes(made[value].type) // ALIGNMENT) * ALIGNMENT
        taken = [t for t in taken if t[2] >= first]
        offset = 0
        for start, end, _ in sorted(taken):
            if offset + size <= start:
                break
            offset = max(offset, end)
        if offset + size <= MOST_BYTES:
            spots[value] = Spot(offset, made[value].type)
            taken.append((offset, offset + size, last))
            nbytes = max(nbytes, offset + size)
    return spots, nbytes
