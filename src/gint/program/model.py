"""A Program: straight-line sections over a small iteration space whose extents arrive at launch.

    axes      parallel and reduced ones are iterated over; the row-major order of the axes is the
              order of positions. An indexed axis is not: it is a dimension of slots along which
              instructions say where they read
    slots     the tensors read and written: data type, access and the axes they vary over
    params    per-launch numbers, i64 or f64
    sections  instructions, run in order for every point of the parallel axes:
                  map     once per point of all axes: load, compute, store
                  reduce  once per point of all axes: load, compute, fold over the reduced axes
                  scalar  once per point of the parallel axes alone

A scan, in a map or reduce section of a program with one reduced axis, folds what it reads at the
positions up to its own along that axis: there is a value at each.

Registers are single assignment. What a scalar section defines, and what a reduce section
accumulates, later sections may read; everything else is read in its own section only. So a section
boundary is a place where every worker could stop: a backend may put a launch boundary there.
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property

from gint.dataclass import frozen
from gint.isa import DType, Form, Instruction, SectionKind


class AxisKind(Enum):
    PARALLEL = "parallel"
    REDUCED = "reduced"
    INDEXED = "indexed"


class Access(Enum):
    IN = "in"
    OUT = "out"
    INOUT = "inout"

    @property
    def reads(self) -> bool:
        return self is not Access.OUT

    @property
    def writes(self) -> bool:
        return self is not Access.IN


@frozen
class Axis:
    name: str
    kind: AxisKind = AxisKind.PARALLEL


@frozen
class Slot:
    """A tensor slot. `axes` are indices into `Program.axes`, one per dimension of the tensor."""

    name: str
    dtype: DType
    access: Access
    axes: tuple[int, ...]


@frozen
class Param:
    name: str
    dtype: DType


@frozen
class Section:
    kind: SectionKind
    instructions: tuple[Instruction, ...]


@frozen
class Program:
    name: str
    axes: tuple[Axis, ...]
    slots: tuple[Slot, ...]
    params: tuple[Param, ...]
    sections: tuple[Section, ...]

    @cached_property
    def parallel_axes(self) -> tuple[int, ...]:
        return self._axes_of(AxisKind.PARALLEL)

    @cached_property
    def indexed_axes(self) -> tuple[int, ...]:
        return self._axes_of(AxisKind.INDEXED)

    @cached_property
    def iterated_axes(self) -> tuple[int, ...]:
        """The parallel and the reduced ones: those of the iteration space."""
        return tuple(i for i, a in enumerate(self.axes) if a.kind is not AxisKind.INDEXED)

    @cached_property
    def reduced_axes(self) -> tuple[int, ...]:
        return self._axes_of(AxisKind.REDUCED)

    def indexed_axes_of(self, slot: Slot) -> tuple[int, ...]:
        """The indexed axes of a slot, in the order in which a gather gives positions along them."""
        return tuple(a for a in slot.axes if self.axes[a].kind is AxisKind.INDEXED)

    def _axes_of(self, kind: AxisKind) -> tuple[int, ...]:
        return tuple(i for i, axis in enumerate(self.axes) if axis.kind is kind)

    @property
    def instruction_count(self) -> int:
        return sum(len(section.instructions) for section in self.sections)

    @cached_property
    def register_count(self) -> int:
        written = (i.writes for s in self.sections for i in s.instructions)
        return max((d for d in written if d is not None), default=-1) + 1

    @cached_property
    def slots_used(self) -> frozenset[int]:
        """The numbers of the slots that some instruction reads or stores."""
        forms = (Form.LOAD, Form.GATHER, Form.STORE)
        return frozenset(i.n for s in self.sections for i in s.instructions if i.op.form in forms)

    @cached_property
    def uniforms(self) -> dict[int, Instruction]:
        """What defines the registers known at launch, in order: no slot and no position is needed
        for constants, parameters, extents and what is computed from them."""
        found: dict[int, Instruction] = {}
        for i in (i for section in self.sections for i in section.instructions):
            fixed = i.op.form in (Form.CONST, Form.PARAM) or i.op.name == "extent"
            computed = i.op.form in (Form.POINTWISE, Form.CAST) and all(r in found for r in i.reads)
            if i.writes is not None and (fixed or computed):
                found[i.writes] = i
        return found

    @cached_property
    def computed_types(self) -> frozenset[str]:
        """The types of what is computed for the points of the axes: what is known at launch is the
        host's to compute, on a backend that lacks a type."""
        code = (i for section in self.sections for i in section.instructions)
        return frozenset(i.type.name for i in code if i.writes not in self.uniforms)

    def encode(self) -> bytes:
        """The instructions of all sections, one after the other, in their 24-byte encoding."""
        return b"".join(i.encode() for s in self.sections for i in s.instructions)
