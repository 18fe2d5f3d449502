"""What `operators` measures: every opcode in every type, and the conductor's ATen operators.

Both are read from the tables. An opcode is said in torch by an operator whose program is that
opcode between loads and stores; which one is found by lowering them all. One that no operator says
is a program of its own, written through the frontend.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode

import gint.conductor.lowering  # noqa: F401  (has the rules registered)
from benchmarks.operators_arguments import Call, call_of
from benchmarks.operators_functions import FUNCTIONS
from gint.conductor.graph.externs import EXTERNS
from gint.conductor.lowering.kinds import read_graph
from gint.conductor.lowering.rules import rules
from gint.conductor.partitioner import GraphPartitioner
from gint.conductor.trace.decompositions import decompositions
from gint.host.frontend import Builder
from gint.isa import OPCODES, DType, Form, Opcode, dtype
from gint.isa.dtypes import DTYPES
from gint.program import Program, VerifiedProgram

TORCH: dict[str, torch.dtype] = {
    "bool": torch.bool, "u8": torch.uint8, "i8": torch.int8, "i16": torch.int16,
    "i32": torch.int32, "i64": torch.int64, "f32": torch.float32, "f64": torch.float64,
    "f16": torch.float16, "bf16": torch.bfloat16,
}  # fmt: skip
#: Shape of the tensors that lowering is tried with.
_TRIED = (6, 8)
#: What may stand beside an opcode that an operator says.
_BESIDE = {Form.CONST, Form.PARAM, Form.AXIS, Form.LOAD, Form.STORE}
#: Types an ATen operator is measured in: the first of these that eager takes.
_USUAL = ("f32", "i64", "bool")


@dataclass(frozen=True)
class Case:
    """One row: an ATen operator or a function of torch's on tensors of a type, or an opcode as a
    program of its own.

    `group` is "opcode", "lowered", "decomposed", "extern" or "function"; `name` tells opcode and
    types, or the overload. A function has no `target`: its `arguments` are the call.
    """

    name: str
    group: str
    type: str
    target: Any = None
    arguments: str = ""
    program: VerifiedProgram | None = None

    def call(self, shape: tuple[int, int]) -> Call:
        """The operator with arguments of about this shape."""
        call = call_of(self.target, shape, TORCH[self.type], self.arguments)
        assert call is not None, f"{self.name}: eager refuses {shape}"
        return call


@cache
def cases(types: tuple[str, ...] = ()) -> tuple[Case, ...]:
    """Every opcode in its types, and every operator in `types` (else a usual one)."""
    opcodes = list(opcode_cases())
    said = {(c.target, c.arguments, c.type) for c in opcodes}
    found = [*opcodes, *(c for c in operator_cases(types) if (c.target, "", c.type) not in said)]
    found += function_cases(types)
    return tuple(c for c in found if not types or c.type in types)


# Opcodes


def opcode_cases(table: Sequence[Opcode] = OPCODES) -> Iterator[Case]:
    """An opcode in a type each; of a cast in every pair of types."""
    spoken = said_by_operators()
    for op in table:
        for t in map(dtype, op.types):
            if op.form is Form.CAST:
                sources = (s for s in DTYPES if s.compute != t and not s.is_storage_only)
                yield from (_cast(op, s, t) for s in sources)
            else:
                yield spoken.get((op.name, t.name)) or _alone(op, t)


def _cast(op: Opcode, source: DType, t: DType) -> Case:
    arguments = f"(x, dtype={TORCH[t.name]})"
    target = torch.ops.aten._to_copy.default
    return Case(f"{op.name} {source} -> {t}", "opcode", source.name, target, arguments)


@cache
def said_by_operators() -> dict[tuple[str, str], Case]:
    """Opcode and type -> the operator with the shortest program that does nothing else."""
    best: dict[tuple[str, str], tuple[int, Case]] = {}
    for target in rules():
        for t in DTYPES:
            program = program_of(target, TORCH[t.name])
            if program is None:
                continue
            for op, in_type in _essence(program):
                found = Case(f"{op.name}.{in_type}", "opcode", t.name, target)
                key, count = (op.name, in_type.name), program.instruction_count
                if key not in best or count < best[key][0]:
                    best[key] = count, found
    return {key: case for key, (_, case) in best.items()}


def _essence(program: Program) -> list[tuple[Opcode, DType]]:
    """The one opcode that computes, or if none does all of them."""
    every = [(i.op, i.type) for s in program.sections for i in s.instructions]
    computing = list(dict.fromkeys(p for p in every if p[0].form not in _BESIDE))
    if not computing:
        return every
    return computing if len(computing) == 1 else []


def program_of(target: Any, torch_dtype: torch.dtype) -> Program | None:
    """The one program that an operator becomes, or None where that is not what becomes of it."""
    call = call_of(target, _TRIED, torch_dtype)
    if call is None:
        return None
    try:
        with _unlogged():
            graph = graph_of(call)
    except RuntimeError:  # eager takes what the fake kernel refuses: a bool, shifted
        return None
    partition = GraphPartitioner().partition(read_graph(graph, "cpu", None))
    if len(partition.units) != 1 or not partition.units[0].is_launch:
        return None
    return partition.units[0].program.recording.bytecode


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without what torch logs, with a traceback, of what its fake kernels refuse."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def graph_of(call: Call) -> fx.Graph:
    """A call as an FX graph, as AOTAutograd would leave it."""
    from torch.fx.experimental.proxy_tensor import make_fx

    tensors = list(call.tensors.values())
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(t) for t in tensors]
        return make_fx(call.function())(*fakes).graph


def _alone(op: Opcode, t: DType) -> Case:
    """An opcode as a program: operands from memory, the result to memory."""
    b = Builder(op.name)
    rows = b.parallel("rows")
    cols = b.reduced("cols") if op.form in (Form.REDUCE, Form.SCAN) else b.parallel("cols")
    axes = (rows,) if op.form is Form.REDUCE else (rows, cols)
    if op.form in (Form.POINTWISE, Form.REDUCE, Form.SCAN):
        types = op.operand_types(t)
        value = b.emit(op.name, *(b.input(f"x{i}", s, rows, cols) for i, s in enumerate(types)))
    elif op.form is Form.PARAM:
        value = b.param("p", t)
    elif op.form is Form.AXIS:
        value = operator.methodcaller(op.name, cols)(b)
    elif op.form is Form.CONST:
        value = b.const(1, t)
    else:
        value = b.input("x0", t, rows, cols)
    stored = t if op.form is Form.STORE else value.type
    b.output("y", stored, axes, value)
    return Case(f"{op.name}.{t}", "opcode", t.name, program=b.build())


# Operators


def operator_cases(types: Sequence[str] = ()) -> Iterator[Case]:
    """Every ATen operator with a lowering, a decomposition or an extern entry, once a type."""
    for target in rules():
        yield from _in_types(target, "lowered", types)
    lowered = {t.overloadpacket for t in rules()}
    packets = dict.fromkeys(t.overloadpacket for t in decompositions())
    decomposed = [packet for packet in packets if packet not in lowered]
    for packet in decomposed:
        yield from _first(packet, "decomposed", types)
    for name in (n for names in EXTERNS.values() for n in names):
        packet = getattr(torch.ops.aten, name, None)
        if packet not in lowered and packet not in decomposed:
            yield from _first(packet, "extern", types)


def function_cases(types: Sequence[str] = ()) -> Iterator[Case]:
    """Every function of operators_functions.py, once a type that eager takes."""
    for name, text in FUNCTIONS.items():
        taken = (t for t in types or _USUAL if call_of(None, _TRIED, TORCH[t], text) is not None)
        for t in list(taken) if types else list(taken)[:1]:
            yield Case(f"{name} {t}", "function", t, arguments=text)


def _first(packet: Any, group: str, types: Sequence[str]) -> Iterator[Case]:
    """The first overload of an operator that arguments are known for."""
    for overload in getattr(packet, "overloads", list)():
        target = getattr(packet, overload)
        schema = target._schema
        if not schema.is_mutable and (found := list(_in_types(target, group, types))):
            yield from found
            return


def _in_types(target: Any, group: str, types: Sequence[str]) -> Iterator[Case]:
    taken = (t for t in types or _USUAL if call_of(target, _TRIED, TORCH[t]) is not None)
    for t in list(taken) if types else list(taken)[:1]:
        yield Case(f"{target} {t}", group, t, target)


def without_arguments() -> list[str]:
    """Operators of the tables that nobody knows arguments for, by name."""
    known = {c.target.overloadpacket for c in operator_cases()}
    packets: Iterable[Any] = (
        *(t.overloadpacket for t in rules()),
        *(t.overloadpacket for t in decompositions()),
        *(getattr(torch.ops.aten, n, None) for names in EXTERNS.values() for n in names),
    )
    return sorted({str(p) for p in packets if p is not None} - {str(p) for p in known})
