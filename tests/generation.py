"""Random valid programs, and launches of them in random layouts, from any `random.Random`.

Programs are built through the frontend. What two correct backends may round differently (the
functions in INEXACT) is only stored, never computed with, so that a difference of a few units in
the last place cannot grow: everything else must agree bit for bit. Sums and products stay exact
in any order because their operands are brought to small integers first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random

from gint.host.frontend import Builder, Value
from gint.isa import DTYPES, OPCODES, DType, Form, Opcode, dtype
from gint.isa.opcodes import exists_for
from gint.program import AxisKind, Program, VerifiedProgram

from .memory import Layout

#: Opcodes whose results may differ between backends by a few units in the last place.
INEXACT = frozenset(op.name for op in OPCODES if not op.exact)
_COMPUTE = tuple(t.name for t in DTYPES if not t.is_storage_only)
_STORAGE = tuple(t.name for t in DTYPES)
_STEPS = ("pointwise",) * 6 + ("cast", "axis", "reduce", "scan") + ("gather",) * 3
_FLOATS = (0.0, -0.0, 0.5, 1.0, 2.0, -3.0, float("inf"), float("-inf"), float("nan"))
_EXTENTS = (0, 1, 1, 2, 3, 5, 8, 17, 40)


@dataclass
class _State:
    """What has been recorded: values to compute with, and values only to store."""

    builder: Builder
    values: list[Value]
    finals: list[Value]
    tables: list[int]


def _coin(random: Random) -> bool:
    return random.randrange(2) == 1


def _some(random: Random, among: list[int], least: int = 0) -> list[int]:
    """At least so many of a list, in any order."""
    return random.sample(among, random.randint(least, len(among)))


def random_program(random: Random, max_steps: int = 10) -> VerifiedProgram:
    """A valid program: up to 4 axes, 4 inputs, 3 outputs, any types, several reductions deep."""
    b = Builder("generated")
    kinds = [random.choice("ppr") for _ in range(random.randint(1, 4))]
    axes = [b.parallel(f"a{i}") if k == "p" else b.reduced(f"a{i}") for i, k in enumerate(kinds)]
    state = _State(b, [], [], [])
    for i in range(random.randint(1, 4)):
        state.values.append(b.input(f"x{i}", random.choice(_STORAGE), *_some(random, axes)))
    indexed = [b.indexed(f"k{i}") for i in range(random.randint(0, 3))]
    if indexed:
        for i in range(random.randint(1, 2)):
            _table(random, state, f"t{i}", axes, indexed)
    for i in range(random.randint(0, 2)):
        state.values.append(b.param(f"p{i}", random.choice(("i64", "f64"))))
    for _ in range(random.randint(0, max_steps)):
        _step(random, state)
    for i in range(random.randint(1, 3)):
        _output(random, state, f"y{i}", axes)
    return b.build()


def _table(random: Random, state: _State, name: str, axes: list[int], indexed: list[int]) -> None:
    chosen = _some(random, indexed, 1) + _some(random, axes)
    random.shuffle(chosen)
    state.tables.append(state.builder.table(name, random.choice(_STORAGE), *chosen))


def _step(random: Random, state: _State) -> None:
    """Record one value more."""
    b, kind = state.builder, random.choice(_STEPS)
    if kind == "axis":
        axis = random.randrange(len(b.axes))
        has_position = b.axes[axis].kind is not AxisKind.INDEXED and _coin(random)
        state.values.append(b.index(axis) if has_position else b.extent(axis))
    elif kind == "gather" and state.tables:
        _gather(random, state)
    elif kind == "cast":
        state.values.append(b.cast(random.choice(state.values), random.choice(_COMPUTE)))
    elif kind == "reduce" and any(a.kind is AxisKind.REDUCED for a in b.axes):
        state.values.append(_reduction(random, state))
    elif kind == "scan" and sum(a.kind is AxisKind.REDUCED for a in b.axes) == 1:
        _scan(random, state)
    else:
        _pointwise(random, state)


def _gather(random: Random, state: _State) -> None:
    """At positions that are mostly inside."""
    b, slot = state.builder, random.choice(state.tables)
    positions = []
    for axis in b.slots[slot].axes:
        if b.axes[axis].kind is AxisKind.INDEXED:
            value = b.cast(random.choice(state.values), "i64")
            if random.randrange(8):
                value = b.minimum(b.maximum(value, 0), b.extent(axis) - 1)
            positions.append(value)
    outside = random.choice((None, 0, 1))
    if outside is not None and _coin(random):  # positions that no tile has to compute
        positions = [_linear(random, b) for _ in positions]
    state.values.append(b.gather(slot, *positions, outside=outside))


def _linear(random: Random, b: Builder) -> Value:
    """A position that steps along an axis."""
    axes = [n for n, a in enumerate(b.axes) if a.kind is not AxisKind.INDEXED]
    step, first = random.choice((-2, -1, 0, 1, 2, 3)), random.randint(-4, 4)
    return b.index(random.choice(axes)) * step + first


def _pointwise(random: Random, state: _State) -> None:
    first = random.choice(state.values)
    op = random.choice([o for o in OPCODES if _takes(o, Form.POINTWISE, first)])
    operands = [_as(random, state, first, t.name) for t in op.operand_types(first.type)]
    operands[op.operands.index("T")] = first
    value = state.builder.emit(op.name, *operands)
    floats = first.type.kind.value == "float"
    (state.finals if op.name in INEXACT and floats else state.values).append(value)


def _takes(op: Opcode, form: Form, value: Value) -> bool:
    return op.form is form and exists_for(op, value.type)


def _as(random: Random, state: _State, like: Value, wanted: str) -> Value:
    """A value of the wanted type: one there is, a constant, or a cast of another one."""
    have = [v for v in state.values if v.type.name == wanted]
    if have and _coin(random):
        return random.choice(have)
    if _coin(random):
        return state.builder.const(constant(random, dtype(wanted)), wanted)
    return state.builder.cast(like, wanted)


def _reduction(random: Random, state: _State) -> Value:
    b, first = state.builder, random.choice(state.values)
    op = random.choice([o for o in OPCODES if _takes(o, Form.REDUCE, first)])
    if op.inputs == 2:
        return b.emit(op.name, first, _linear_index(b))
    if first.type.kind.value != "float":
        return b.emit(op.name, first)
    first = _exactly(b, op.name, first)
    # Which of two zeros is the largest depends on the order: adding 0.0 makes both +0.0.
    return b.emit(op.name, first) + 0.0


def _scan(random: Random, state: _State) -> None:
    b, first = state.builder, random.choice(state.values)
    op = random.choice([o for o in OPCODES if _takes(o, Form.SCAN, first)])
    if first.type.kind.value == "float":
        first = _exactly(b, op.name.removeprefix("cum"), first)
    value = b.emit(op.name, first)
    (state.finals if op.name in INEXACT else state.values).append(value)


def _exactly(b: Builder, fold: str, value: Value) -> Value:
    """Floats of which no order of a sum or product rounds."""
    if fold == "sum":
        return b.maximum(b.minimum(b.round(value), 64.0), -64.0)
    return b.sign(value) if fold == "prod" else value


def _linear_index(b: Builder) -> Value:
    index = b.const(0, "i64")
    for axis, entry in enumerate(b.axes):
        if entry.kind is AxisKind.REDUCED:
            index = index * b.extent(axis) + b.index(axis)
    return index


def _output(random: Random, state: _State, name: str, axes: list[int]) -> None:
    b, value = state.builder, random.choice(state.values + state.finals)
    parallel = [a for a in axes if b.axes[a].kind is AxisKind.PARALLEL]
    per_row = value.axes <= frozenset(parallel) and _coin(random)
    order = list(parallel if per_row else axes)
    random.shuffle(order)
    type_name = value.type.name
    if type_name == "f32":
        type_name = random.choice(("f32", "f32", "f16", "bf16"))
    b.output(name, type_name, tuple(order), value)


def constant(random: Random, t: DType) -> int | float | bool:
    """An immediate of a type, its extremes among them."""
    if t.name == "bool":
        return _coin(random)
    if t.kind.value == "float":
        if _coin(random):
            return random.choice(_FLOATS)
        return struct.unpack("<f", random.getrandbits(32).to_bytes(4, "little"))[0]
    low, high = t.int_range
    if _coin(random):
        return random.randint(max(low, -3), 3)
    return random.choice((low, high, random.randint(low, high)))


@dataclass(frozen=True)
class Launch:
    """Numbers and layouts of one launch; the values in the slots come from `seed`."""

    extents: tuple[int, ...]
    params: tuple[int | float, ...]
    layouts: tuple[Layout, ...]
    seed: int


def random_launch(random: Random, program: Program) -> Launch:
    """A launch the verifier must accept: odd layouts, and outputs that do not overlap."""
    extents = tuple([random.choice(_EXTENTS) for _ in program.axes])
    params: list[int | float] = []
    for param in program.params:
        is_int = param.dtype.name == "i64"
        params.append(random.randint(-5, 5) if is_int else random.uniform(-4, 4))
    layouts = [random_layout(random, len(s.axes), s.access.writes) for s in program.slots]
    return Launch(extents, tuple(params), tuple(layouts), random.getrandbits(32))


def random_layout(random: Random, rank: int, writes: bool) -> Layout:
    order = list(range(rank))
    if _coin(random):
        random.shuffle(order)

    def few() -> frozenset[int]:
        return frozenset(random.sample(order, random.randint(0, min(rank, 2))))

    repeated = frozenset() if writes or _coin(random) else few()
    flipped = few() if _coin(random) else frozenset()
    gap = random.choice((1, 1, 1, 2, 3))
    return Layout(tuple(order), gap, flipped, repeated, random.choice((0, 0, 1, 7)))
