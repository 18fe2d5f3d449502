"""Runs a verified program section by section, each register one whole NumPy array.

Arrays have a dimension per axis of the program, of length 1 where the register does not vary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np

from gint.isa import DType, Form, Instruction, Opcode
from gint.isa.dtypes import Kind
from gint.isa.errors import INDEX_OUT_OF_RANGE
from gint.program import Binding, Program, VerifiedProgram
from gint.program.facts import has_points

from .functions import Functions, narrow_bf16, widen_bf16
from .memory import slot_view


def last_reads(program: Program) -> list[tuple[int, ...]]:
    """Per instruction of all sections in turn, the registers that none after it reads."""
    seen: set[int] = set()
    found = []
    for section in reversed(program.sections):
        for i in reversed(section.instructions):
            touched = {*i.reads, *(() if i.writes is None else (i.writes,))}
            found.append(tuple(touched - seen))
            seen |= touched
    return found[::-1]


def most_held(
    verified: VerifiedProgram, extents: tuple[int, ...], unused: list[tuple[int, ...]]
) -> int:
    """Bytes of the registers that are alive at one time, and of one more, which operations make
    on the way."""
    held: dict[int, int] = {}
    most = 0
    instructions = (i for section in verified.program.sections for i in section.instructions)
    for i, gone in zip(instructions, unused, strict=True):
        if i.writes is not None:
            points = math.prod([extents[axis] for axis in verified.varies[i.writes]])
            held[i.writes] = points * np.dtype(verified.types[i.writes].numpy).itemsize
        touched = [held[r] for r in (*i.reads, i.writes) if r is not None]
        most = max(most, sum(held.values()) + max(touched, default=0))
        for register in gone:
            del held[register]
    return most


def run(
    verified: VerifiedProgram, binding: Binding, unused: list[tuple[int, ...]] | None = None
) -> int:
    """Run one launch; the error flag. The binding must have been verified.

    Arrays are let go of as soon as they can be: `unused` is what `last_reads` says.
    """
    launch = _Launch(verified.program, binding)
    after = iter(last_reads(verified.program) if unused is None else unused)
    with np.errstate(all="ignore"):
        for section in verified.program.sections:
            empty = not has_points(verified.program, section, binding.extents)
            for instruction in section.instructions:
                before = launch.fn.error
                launch.step(instruction)
                # What is computed for no point is no error; what needs no point is known at launch.
                if empty and instruction.d not in verified.program.uniforms:
                    launch.fn.error = before
                for register in next(after):
                    del launch.registers[register]
    return launch.fn.error


def run_uniforms(
    program: Program,
    instructions: Iterable[Instruction],
    extents: tuple[int, ...],
    params: tuple[int | float, ...],
) -> tuple[dict[int, np.ndarray], int]:
    """Values of registers that need no slot, for interpreters that are told them; the error flag.

    `instructions` compute with constants, parameters and extents alone.
    """
    launch = _Launch(program, Binding(extents, params, ()))
    with np.errstate(all="ignore"):
        for instruction in instructions:
            launch.step(instruction)
    return launch.registers, launch.fn.error


class _Launch:
    def __init__(self, program: Program, binding: Binding) -> None:
        self.program, self.binding = program, binding
        self.rank = len(program.axes)
        self.registers: dict[int, np.ndarray] = {}
        self.fn = Functions()
        self.steps = {
            Form.CONST: lambda i: self.uniform(i.imm, i.type),
            Form.PARAM: lambda i: self.uniform(binding.params[i.n], i.type),
            Form.AXIS: self.axis,
            Form.LOAD: lambda i: self.read(slot_view(program, binding, i.n), i.type),
            Form.GATHER: self.gather,
            Form.CAST: lambda i: cast(self.registers[i.a], i.type),
            Form.POINTWISE: self.pointwise,
            Form.REDUCE: self.reduce,
            Form.SCAN: self.scan,
        }

    def step(self, i: Instruction) -> None:
        if i.op.form is Form.STORE:
            self.store(i)
        else:
            self.registers[i.d] = self.steps[i.op.form](i)

    def uniform(self, value: int | float | bool, t: DType) -> np.ndarray:
        return np.full((1,) * self.rank, value, dtype=t.numpy)

    def axis(self, i: Instruction) -> np.ndarray:
        extent = self.binding.extents[i.n]
        if i.op.name == "extent":
            return self.uniform(extent, i.type)
        shape = [1] * self.rank
        shape[i.n] = extent
        return np.arange(extent, dtype=np.int64).reshape(shape)

    @staticmethod
    def read(view: np.ndarray, t: DType) -> np.ndarray:
        """What lies in memory as a register has it."""
        if t.name == "bf16":
            return widen_bf16(view)
        if t.name == "bool":
            return view.view(np.uint8) != 0  # any byte may lie in memory
        return view.astype(t.compute.numpy, copy=True)

    def gather(self, i: Instruction) -> np.ndarray:
        """The slot's elements at the positions in registers; 0, or the immediate of an opcode that
        has one, where a position is outside its axis."""
        slot, extents = self.program.slots[i.n], self.binding.extents
        indexed = self.program.indexed_axes_of(slot)
        positions = dict(zip(indexed, (self.registers[r] for r in i.reads), strict=True))
        checks = [(p >= 0) & (p < extents[axis]) for axis, p in positions.items()]
        inside = np.logical_and.reduce(np.broadcast_arrays(*checks))
        if not inside.all() and not i.op.fills:
            self.fn.error |= INDEX_OUT_OF_RANGE
        outside = value_outside(i)
        if any(extents[axis] == 0 for axis in slot.axes):  # of no element, or at no point
            moving = {axis for axis in slot.axes if axis not in indexed}
            here = [extents[axis] if axis in moving else 1 for axis in range(self.rank)]
            return np.full(np.broadcast_shapes(tuple(here), inside.shape), outside)
        view = slot_view(self.program, self.binding, i.n)
        at = []
        for axis, length in enumerate(view.shape):
            if axis in indexed:
                at.append(np.where(inside, positions[axis], 0))
            else:
                shape = [-1 if a == axis else 1 for a in range(self.rank)]
                at.append(np.arange(length).reshape(shape))
        return np.where(inside, self.read(view[tuple(at)], i.type), outside)

    def store(self, i: Instruction) -> None:
        value = self.registers[i.a]
        if i.type.name == "bf16":
            value = narrow_bf16(value)
        view = slot_view(self.program, self.binding, i.n)
        if view.size:
            view[...] = value

    def pointwise(self, i: Instruction) -> np.ndarray:
        result = i.op.result_type(i.type)
        operands = [self.registers[r] for r in i.reads]
        value = _compiled(i.op, i.type)(*operands, self.fn)
        return np.asarray(value, dtype=result.numpy)

    def reduce(self, i: Instruction) -> np.ndarray:
        axes = self.program.reduced_axes
        shape = [1] * self.rank
        for axis in axes:
            shape[axis] = self.binding.extents[axis]
        operands = [self.registers[r] for r in i.reads]
        whole = np.broadcast_shapes(tuple(shape), *(o.shape for o in operands))
        operands = [np.broadcast_to(o, whole) for o in operands]
        value = _compiled(i.op, i.type)(*operands, self.fn, axes)
        return np.asarray(value, dtype=i.op.result_type(i.type).numpy)

    def scan(self, i: Instruction) -> np.ndarray:
        (axis,) = self.program.reduced_axes
        a = self.registers[i.a]
        whole = list(a.shape)
        whole[axis] = self.binding.extents[axis]
        value = _compiled(i.op, i.type)(np.broadcast_to(a, whole), self.fn, axis)
        return np.asarray(value, dtype=i.type.numpy)


def value_outside(i: Instruction) -> np.ndarray:
    """What a gather gives for positions outside: its immediate, as the slot's memory has it."""
    value = np.asarray(i.imm, i.type.compute.numpy)
    if i.type.name == "bf16":
        return widen_bf16(narrow_bf16(value))
    with np.errstate(over="ignore"):
        return value.astype(i.type.numpy).astype(i.type.compute.numpy)


def cast(a: np.ndarray, t: DType) -> np.ndarray:
    """`a` in another compute type. Float to a narrow integer goes through int64, then wraps."""
    if t.kind is Kind.INT and a.dtype.kind == "f" and t.itemsize < 4:
        a = a.astype(np.int32)
    return a != 0 if t.kind is Kind.BOOL else a.astype(t.numpy)


@cache
def _compiled(op: Opcode, t: DType) -> Callable:
    """The opcode's meaning in NumPy, from the table, as a function of its operands."""
    names = ", ".join(("a", "b", "c")[: op.inputs])
    axes = {Form.REDUCE: ", axes", Form.SCAN: ", axis"}.get(op.form, "")
    source = f"lambda {names}, fn{axes}: {op.numpy_for(t)}"
    return eval(source, {"np": np, "T": np.dtype(t.numpy).type})
