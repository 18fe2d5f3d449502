"""What a program's instructions tell of its launches, asked by backends and by plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gint.isa import Form, Instruction
from gint.isa.dtypes import Kind

from .model import Program, Section, SectionKind


def may_fail(program: Program) -> bool:
    """Whether a launch can set the error flag: integers divided by zero do, floats never, and so
    does a gather, whose positions are known when it runs, if nothing stands for those outside."""
    return any(_fails(program, i) for i in _instructions(program))


def has_points(program: Program, section: Section, extents: Sequence[int]) -> bool:
    """Whether a section runs at all: a scalar one once per row, though the rows be empty."""
    is_scalar = section.kind is SectionKind.SCALAR
    axes = program.parallel_axes if is_scalar else program.iterated_axes
    return all(extents[axis] for axis in axes)


def has_effects(program: Program, extents: Sequence[int]) -> bool:
    """Whether some point of a launch stores, or can set the error flag: else nothing has to run,
    however many rows without points there are. What is known at launch is not asked for here.

    The one rule in Python; schedule/schedule.cpp has its twin in C++.
    """
    return any(
        i.op.form is Form.STORE or (_fails(program, i) and i.writes not in program.uniforms)
        for section in program.sections
        if has_points(program, section, extents)
        for i in section.instructions
    )


def has_scan(program: Program) -> bool:
    """Whether points of a row have to be taken in their order."""
    return any(i.op.form is Form.SCAN for i in _instructions(program))


def positions_read(program: Program) -> frozenset[int]:
    """The axes along which some instruction reads where it stands."""
    return frozenset(
        i.n for i in _instructions(program) if i.op.form is Form.AXIS and i.op.name == "index"
    )


def _fails(program: Program, i: Instruction) -> bool:
    if i.op.form is Form.GATHER:
        return not i.op.fills
    if not i.op.sets_error or i.type.kind is not Kind.INT:
        return False
    divisor = program.uniforms.get(i.b)
    return divisor is None or divisor.op.form is not Form.CONST or divisor.imm == 0


def _instructions(program: Program) -> Iterator[Instruction]:
    return (i for section in program.sections for i in section.instructions)
