"""Hypothesis strategies: random valid programs, and launches of them in random layouts.

Programs are built through the frontend. What two correct backends may round differently (the
functions in INEXACT) is only stored, never computed with, so that a difference of a few units in
the last place cannot grow: everything else must agree bit for bit. Sums and products stay exact
in any order because their operands are brought to small integers first.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from gint.host.frontend import Builder, Value
from gint.isa import DTYPES, OPCODES, Form, Opcode, dtype
from gint.isa.opcodes import exists_for
from gint.program import AxisKind, Program, VerifiedProgram

from .memory import Layout

#: Opcodes whose results may differ between backends by a few units in the last place.
INEXACT = frozenset(op.name for op in OPCODES if not op.exact)
_COMPUTE = tuple(t.name for t in DTYPES if not t.is_storage_only)
_STORAGE = tuple(t.name for t in DTYPES)


@dataclass
class _State:
    """What has been recorded: values to compute with, and values only to store."""

    builder: Builder
    values: list[Value]
    finals: list[Value]
    tables: list[int]


@st.composite
def programs(draw: st.DrawFn, max_steps: int = 10) -> VerifiedProgram:
    """A valid program: up to 4 axes, 4 inputs, 3 outputs, any types, several reductions deep."""
    b = Builder("generated")
    kinds = draw(st.lists(st.sampled_from("ppr"), min_size=1, max_size=4))
    axes = [b.parallel(f"a{i}") if k == "p" else b.reduced(f"a{i}") for i, k in enumerate(kinds)]
    state = _State(b, [], [], [])
    for i in range(draw(st.integers(1, 4))):
        _input(draw, state, f"x{i}", axes)
    indexed = [b.indexed(f"k{i}") for i in range(draw(st.integers(0, 3)))]
    if indexed:
        for i in range(draw(st.integers(1, 2))):
            _table(draw, state, f"t{i}", axes, indexed)
    for i in range(draw(st.integers(0, 2))):
        state.values.append(b.param(f"p{i}", draw(st.sampled_from(("i64", "f64")))))
    for _ in range(draw(st.integers(0, max_steps))):
        _step(draw, state)
    for i in range(draw(st.integers(1, 3))):
        _output(draw, state, f"y{i}", axes)
    return b.build()


def _input(draw: st.DrawFn, state: _State, name: str, axes: list[int]) -> None:
    subset = draw(st.permutations(axes))[: draw(st.integers(0, len(axes)))]
    state.values.append(state.builder.input(name, draw(st.sampled_from(_STORAGE)), *subset))


def _table(draw: st.DrawFn, state: _State, name: str, axes: list[int], indexed: list[int]) -> None:
    chosen = draw(st.permutations(indexed))[: draw(st.integers(1, len(indexed)))]
    chosen += draw(st.permutations(axes))[: draw(st.integers(0, len(axes)))]
    order = draw(st.permutations(chosen))
    state.tables.append(state.builder.table(name, draw(st.sampled_from(_STORAGE)), *order))


def _step(draw: st.DrawFn, state: _State) -> None:
    """Record one value more."""
    kinds = ("pointwise",) * 6 + ("cast", "axis", "reduce", "scan") + ("gather",) * 3
    b, kind = state.builder, draw(st.sampled_from(kinds))
    if kind == "axis":
        axis = draw(st.integers(0, len(b.axes) - 1))
        has_position = b.axes[axis].kind is not AxisKind.INDEXED and draw(st.booleans())
        state.values.append(b.index(axis) if has_position else b.extent(axis))
    elif kind == "gather" and state.tables:
        _gather(draw, state)
    elif kind == "cast":
        state.values.append(b.cast(_any(draw, state), draw(st.sampled_from(_COMPUTE))))
    elif kind == "reduce" and any(a.kind is AxisKind.REDUCED for a in b.axes):
        state.values.append(_reduction(draw, state))
    elif kind == "scan" and sum(a.kind is AxisKind.REDUCED for a in b.axes) == 1:
        _scan(draw, state)
    else:
        _pointwise(draw, state)


def _gather(draw: st.DrawFn, state: _State) -> None:
    """At positions that are mostly inside."""
    b, slot = state.builder, draw(st.sampled_from(state.tables))
    positions = []
    for axis in b.slots[slot].axes:
        if b.axes[axis].kind is AxisKind.INDEXED:
            value = b.cast(_any(draw, state), "i64")
            if draw(st.integers(0, 7)):
                value = b.minimum(b.maximum(value, 0), b.extent(axis) - 1)
            positions.append(value)
    state.values.append(b.gather(slot, *positions))


def _any(draw: st.DrawFn, state: _State) -> Value:
    return draw(st.sampled_from(state.values))


def _pointwise(draw: st.DrawFn, state: _State) -> None:
    first = _any(draw, state)
    op = draw(st.sampled_from([o for o in OPCODES if _takes(o, Form.POINTWISE, first)]))
    operands = [_as(draw, state, first, t.name) for t in op.operand_types(first.type)]
    operands[op.operands.index("T")] = first
    value = state.builder.emit(op.name, *operands)
    floats = first.type.kind.value == "float"
    (state.finals if op.name in INEXACT and floats else state.values).append(value)


def _takes(op: Opcode, form: Form, value: Value) -> bool:
    return op.form is form and exists_for(op, value.type)


def _as(draw: st.DrawFn, state: _State, like: Value, wanted: str) -> Value:
    """A value of the wanted type: one there is, a constant, or a cast of another one."""
    have = [v for v in state.values if v.type.name == wanted]
    if have and draw(st.booleans()):
        return draw(st.sampled_from(have))
    if draw(st.booleans()):
        return state.builder.const(draw(constants(wanted)), wanted)
    return state.builder.cast(like, wanted)


def _reduction(draw: st.DrawFn, state: _State) -> Value:
    b, first = state.builder, _any(draw, state)
    op = draw(st.sampled_from([o for o in OPCODES if _takes(o, Form.REDUCE, first)]))
    if op.inputs == 2:
        return b.emit(op.name, first, _linear_index(b))
    if first.type.kind.value != "float":
        return b.emit(op.name, first)
    first = _exactly(b, op.name, first)
    # Which of two zeros is the largest depends on the order: adding 0.0 makes both +0.0.
    return b.emit(op.name, first) + 0.0


def _scan(draw: st.DrawFn, state: _State) -> None:
    b, first = state.builder, _any(draw, state)
    op = draw(st.sampled_from([o for o in OPCODES if _takes(o, Form.SCAN, first)]))
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


def _output(draw: st.DrawFn, state: _State, name: str, axes: list[int]) -> None:
    b, value = state.builder, draw(st.sampled_from(state.values + state.finals))
    parallel = [a for a in axes if b.axes[a].kind is AxisKind.PARALLEL]
    per_row = value.axes <= frozenset(parallel) and draw(st.booleans())
    order = tuple(draw(st.permutations(parallel if per_row else axes)))
    type_name = value.type.name
    if type_name == "f32":
        type_name = draw(st.sampled_from(("f32", "f32", "f16", "bf16")))
    b.output(name, type_name, order, value)


def constants(type_name: str) -> st.SearchStrategy[int | float | bool]:
    """Immediates of a type, with its extremes."""
    t = dtype(type_name)
    if t.name == "bool":
        return st.booleans()
    if t.kind.value == "float":
        return st.floats(width=32) | st.sampled_from((0.0, -0.0, 0.5, 1.0, 2.0, -3.0))
    bits = 8 * t.itemsize
    low, high = (0, 2**bits - 1) if t.name == "u8" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(low, high) | st.integers(max(low, -3), 3)


@dataclass(frozen=True)
class Launch:
    """Numbers and layouts of one launch; the values in the slots come from `seed`."""

    extents: tuple[int, ...]
    params: tuple[int | float, ...]
    layouts: tuple[Layout, ...]
    seed: int


@st.composite
def launches(draw: st.DrawFn, program: Program) -> Launch:
    """A launch the verifier must accept: odd layouts, and outputs that do not overlap."""
    lengths = st.sampled_from((0, 1, 1, 2, 3, 5, 8, 17, 40))
    extents = [draw(lengths) for _ in program.axes]
    params: list[int | float] = []
    for param in program.params:
        small = st.integers(-5, 5)
        params.append(draw(small if param.dtype.name == "i64" else st.floats(-4, 4)))
    slots = tuple(draw(_layouts(len(s.axes), s.access.writes)) for s in program.slots)
    return Launch(tuple(extents), tuple(params), slots, draw(st.integers(0, 2**32 - 1)))


@st.composite
def _layouts(draw: st.DrawFn, rank: int, writes: bool) -> Layout:
    order = tuple(range(rank))
    if draw(st.booleans()):
        order = tuple(draw(st.permutations(order)))
    some = st.frozensets(st.sampled_from(order), max_size=2) if rank else st.just(frozenset())
    repeated = frozenset() if writes or draw(st.booleans()) else draw(some)
    flipped = draw(some) if draw(st.booleans()) else frozenset()
    gap = draw(st.sampled_from((1, 1, 1, 2, 3)))
    return Layout(order, gap, flipped, repeated, draw(st.sampled_from((0, 0, 1, 7))))
