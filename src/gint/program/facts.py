"""What a program's instructions tell of its launches, asked by backends and by plans."""

from __future__ import annotations

from collections.abc import Iterator

from gint.isa import Form, Instruction
from gint.isa.dtypes import Kind

from .model import Program


def may_fail(program: Program) -> bool:
    """Whether a launch can set the error flag: integers divided by zero do, floats never, and so
    does a gather, whose positions are known when it runs, if nothing stands for those outside."""
    return any(
        (i.op.form is Form.GATHER and not i.op.fills)
        or (i.op.sets_error and i.type.kind is Kind.INT)
        for i in _instructions(program)
    )


def has_scan(program: Program) -> bool:
    """Whether points of a row have to be taken in their order."""
    return any(i.op.form is Form.SCAN for i in _instructions(program))


def positions_read(program: Program) -> frozenset[int]:
    """The axes along which some instruction reads where it stands."""
    return frozenset(
        i.n for i in _instructions(program) if i.op.form is Form.AXIS and i.op.name == "index"
    )


def _instructions(program: Program) -> Iterator[Instruction]:
    return (i for section in program.sections for i in section.instructions)
