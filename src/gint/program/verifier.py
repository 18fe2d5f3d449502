"""The verifier: no program and no binding runs unless it is proven to stay inside its tensors.

`verify` looks at a program once; `verify_binding` at every new binding. Both raise
VerificationError with a sentence that names the instruction or slot and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod

from gint.dataclass import frozen
from gint.isa import OPCODES, DType, Form, Instruction, SectionKind
from gint.isa.instruction import NONE, encode_immediate
from gint.isa.limits import MAX_AXES, MAX_INDICES, MAX_POINTS
from gint.isa.opcodes import exists_for

from .binding import Binding, SlotBinding
from .model import Program, Section, Slot
from .regions import Region, disjoint, overlaps_itself, slot_region
from .text import NAME, format_instruction

#: Forms with an operand n.
_NUMBERED = (Form.PARAM, Form.AXIS, Form.LOAD, Form.GATHER, Form.STORE)
_NAME = re.compile(NAME)
_RUNNABLE = (SectionKind.MAP, SectionKind.REDUCE, SectionKind.SCALAR)


class VerificationError(ValueError):
    """A program or a binding that must not run."""


@frozen(eq=False)
class VerifiedProgram:
    """A program that passed `verify`, with the facts found on the way.

    `types[r]` is the type of register r, `varies[r]` the axes it varies over.
    """

    program: Program
    types: dict[int, DType]
    varies: dict[int, frozenset[int]]


def verify(program: Program) -> VerifiedProgram:
    """Prove that `program` is well formed. Raises VerificationError."""
    _verify_names(program)
    _verify_declarations(program)
    return _Checker(program).run()


def _verify_names(p: Program) -> None:
    """Names must be those the text form can say; slots and parameters are given by name."""
    _verify_table("program", [p.name])
    _verify_table("axis", [axis.name for axis in p.axes])
    _verify_table("slot or parameter", [s.name for s in p.slots] + [q.name for q in p.params])


def _verify_table(what: str, names: Iterable[str]) -> None:
    seen = set()
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise VerificationError(
                f"The {what} name {name!r} is no name: letters, digits, '_' and '.', a letter or "
                "'_' first."
            )
        if name in seen:
            raise VerificationError(f"The {what} name {name!r} is used twice.")
        seen.add(name)


def _verify_declarations(p: Program) -> None:
    if len(p.axes) > MAX_AXES:
        raise VerificationError(f"{len(p.axes)} axes; at most {MAX_AXES} are possible.")
    for slot in p.slots:
        if not all(isinstance(a, int) and a in range(len(p.axes)) for a in slot.axes):
            raise VerificationError(f"Slot {slot.name!r} names an axis the program does not have.")
        if len(set(slot.axes)) != len(slot.axes):
            raise VerificationError(f"Slot {slot.name!r} names an axis twice.")
        count = len(p.indexed_axes_of(slot))
        if count > MAX_INDICES:
            raise VerificationError(
                f"Slot {slot.name!r} has {count} indexed axes; at most {MAX_INDICES} are possible."
            )
        if count and slot.access.writes:
            raise VerificationError(f"Slot {slot.name!r} has indexed axes and is not 'in'.")
    for param in p.params:
        if param.dtype.name not in ("i64", "f64"):
            raise VerificationError(
                f"Parameter {param.name!r} is {param.dtype}; parameters are i64 or f64."
            )


class _Checker:
    """Walks the instructions once, in order."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.types: dict[int, DType] = {}
        self.varies: dict[int, frozenset[int]] = {}
        self.visible: set[int] = set()
        self.stored: set[int] = set()
        self.parallel = frozenset(program.parallel_axes)
        self.iterated = frozenset(program.iterated_axes)

    def run(self) -> VerifiedProgram:
        if not self.program.sections:
            raise VerificationError("The program has no section; it needs at least one.")
        number = 0
        for section in self.program.sections:
            self._section(section, number)
            number += len(section.instructions)
        for n, slot in enumerate(self.program.slots):
            if slot.access.writes and n not in self.stored:
                raise VerificationError(
                    f"Slot {slot.name!r} is declared {slot.access.value!r} but never stored to."
                )
        return VerifiedProgram(self.program, self.types, self.varies)

    def _section(self, section: Section, first: int) -> None:
        kind = section.kind
        if kind not in _RUNNABLE:
            raise VerificationError(f"Sections of kind {kind.value!r} are reserved.")
        if kind is SectionKind.REDUCE and not self.program.reduced_axes:
            raise VerificationError("A reduce section in a program without reduced axes.")
        local = set(self.visible)
        kept: set[int] = set()
        for number, i in enumerate(section.instructions, first):
            try:
                self._instruction(i, kind, local)
            except VerificationError as error:
                line = format_instruction(i, self.program)
                raise VerificationError(f"Instruction {number}, '{line}': {error}") from None
            if i.writes is not None:
                # An accumulator is whole only after its section.
                if i.op.form is Form.REDUCE:
                    kept.add(i.d)
                else:
                    local.add(i.d)
                    if kind is SectionKind.SCALAR:
                        kept.add(i.d)
        self.visible |= kept

    def _instruction(self, i: Instruction, kind: SectionKind, local: set[int]) -> None:
        if i.op.code not in range(len(OPCODES)) or OPCODES[i.op.code] is not i.op:
            raise VerificationError(f"{i.op.name!r} is not of this instruction table.")
        self._fields(i)
        if not exists_for(i.op, i.type):
            raise VerificationError(
                f"{i.op.name} does not exist for {i.type}; it does for {', '.join(i.op.types)}."
            )
        if i.op.form is Form.REDUCE and kind is not SectionKind.REDUCE:
            raise VerificationError(f"a reduction in a {kind.value} section.")
        if i.op.form is Form.SCAN and len(self.program.reduced_axes) != 1:
            count = len(self.program.reduced_axes)
            raise VerificationError(f"a scan in a program with {count} reduced axes; it needs one.")
        self._operands(i, local)
        varies = self._number(i, kind)
        for register in i.reads:
            varies |= self.varies[register]
        if i.op.form is Form.SCAN:
            varies |= frozenset(self.program.reduced_axes)
        if kind is SectionKind.SCALAR and not varies <= self.parallel:
            raise VerificationError("a scalar section reads what varies over a reduced axis.")
        if i.writes is None:
            return
        if i.d in self.types:
            raise VerificationError(f"r[{i.d}] is defined a second time.")
        self.types[i.d] = i.op.result_type(i.type)
        self.varies[i.d] = varies & self.parallel if i.op.form is Form.REDUCE else varies

    @staticmethod
    def _fields(i: Instruction) -> None:
        inputs = i.op.inputs
        _verify_operand("a", i.a, inputs > 0)
        _verify_operand("b", i.b, inputs > 1)
        _verify_operand("c", i.c, inputs > 2)
        _verify_operand("d", i.d, i.op.form is not Form.STORE)
        if i.n and i.op.form not in _NUMBERED:
            raise VerificationError("operand n is set but not used by this opcode.")
        if not i.op.has_immediate and any(encode_immediate(i.type, i.imm)):
            raise VerificationError("an immediate is set but not used by this opcode.")

    def _operands(self, i: Instruction, local: set[int]) -> None:
        expected = i.op.operand_types(i.type.compute) if i.op.form is not Form.CAST else (None,)
        for register, wanted in zip(i.reads, expected, strict=True):
            if register not in local:
                where = "is not defined before"
                if register in self.types:
                    where = (
                        "is local to an earlier section, or an accumulator of this one: only what "
                        "an earlier section accumulated or a scalar section defined is read later"
                    )
                raise VerificationError(f"r[{register}] {where}.")
            found = self.types[register]
            if wanted is not None and found != wanted:
                raise VerificationError(f"r[{register}] is {found}; {wanted} is needed.")

    def _number(self, i: Instruction, kind: SectionKind) -> frozenset[int]:
        """Checks the operand n; the axes the instruction varies over because of it."""
        form, p = i.op.form, self.program
        if form is Form.PARAM:
            self._in_range(i.n, p.params, "parameter")
            if p.params[i.n].dtype != i.type:
                raise VerificationError(
                    f"parameter {p.params[i.n].name!r} is {p.params[i.n].dtype}, not {i.type}."
                )
        elif form is Form.AXIS:
            self._in_range(i.n, p.axes, "axis")
            if i.op.name != "index":
                return frozenset()
            if i.n not in self.iterated:
                raise VerificationError("there is no position along an indexed axis.")
            return frozenset((i.n,))
        elif form in (Form.LOAD, Form.GATHER, Form.STORE):
            return self._slot(i, kind)
        return frozenset()

    def _slot(self, i: Instruction, kind: SectionKind) -> frozenset[int]:
        """Checks the slot of a load, gather or store; the axes along which it moves."""
        self._in_range(i.n, self.program.slots, "slot")
        slot = self.program.slots[i.n]
        if slot.dtype != i.type:
            raise VerificationError(f"slot {slot.name!r} is {slot.dtype}, not {i.type}.")
        if i.op.form is Form.STORE:
            self._store(i.n, slot, kind)
            return frozenset(slot.axes)
        if not slot.access.reads and i.n not in self.stored:
            raise VerificationError(f"slot {slot.name!r} is declared 'out' and not yet stored.")
        given = i.op.inputs if i.op.form is Form.GATHER else 0
        wanted = len(self.program.indexed_axes_of(slot))
        if given != wanted:
            raise VerificationError(
                f"slot {slot.name!r} has {wanted} indexed axes, and {given} positions are given."
            )
        return frozenset(slot.axes) & self.iterated

    def _store(self, n: int, slot: Slot, kind: SectionKind) -> None:
        if not slot.access.writes:
            raise VerificationError(f"slot {slot.name!r} is declared 'in'.")
        if kind is SectionKind.REDUCE:
            raise VerificationError("a store in a reduce section.")
        needed = self.parallel if kind is SectionKind.SCALAR else self.iterated
        if frozenset(slot.axes) != needed:
            names = ", ".join(self.program.axes[a].name for a in sorted(needed))
            raise VerificationError(
                f"a {kind.value} section stores to slots over exactly the axes ({names})."
            )
        self.stored.add(n)

    @staticmethod
    def _in_range(n: int, table: tuple, what: str) -> None:
        if n >= len(table):
            raise VerificationError(f"there is no {what} number {n}; the program has {len(table)}.")


def _verify_operand(name: str, register: int, wanted: bool) -> None:
    if (register != NONE) != wanted:
        state = "is missing" if wanted else "is set but not used by this opcode"
        raise VerificationError(f"operand {name} {state}.")


def verify_binding(verified: VerifiedProgram, binding: Binding) -> None:
    """Prove that a launch touches only the storages bound. Raises VerificationError.

    An extent of 0 means that nothing is touched along it. Of an indexed axis all of the extent
    counts: a gather reads within it or not at all. Output elements must not overlap one
    another, nor any other slot's, except where both slots cover the same elements in the same
    order (in-place use).
    """
    p = verified.program
    _verify_counts(p, binding)
    regions = []
    for n, (slot, bound) in enumerate(zip(p.slots, binding.slots, strict=True)):
        region = _region(slot, bound, binding.extents)
        if 0 in region.extents or n not in p.slots_used:
            continue
        _verify_bounds(slot, bound, region)
        regions.append((slot, region))
    for position, (slot, region) in enumerate(regions):
        if not slot.access.writes:
            continue
        if overlaps_itself(region):
            raise VerificationError(
                f"Slot {slot.name!r} is written with strides {region.steps_in_elements} over "
                f"extents {region.extents}: two positions share an element."
            )
        for other_position, (other, other_region) in enumerate(regions):
            later = other.access.writes and other_position < position
            if other_position == position or later or disjoint(region, other_region):
                continue
            same = _elements(slot, region) == _elements(other, other_region)
            if not same or other.access.writes or p.indexed_axes_of(other):
                raise VerificationError(
                    f"Slot {slot.name!r} is written and overlaps slot {other.name!r} in memory "
                    "other than element by element."
                )


def _verify_counts(p: Program, binding: Binding) -> None:
    for what, wanted, found in (
        ("extents", len(p.axes), len(binding.extents)),
        ("parameters", len(p.params), len(binding.params)),
        ("slots", len(p.slots), len(binding.slots)),
    ):
        if wanted != found:
            raise VerificationError(f"The binding has {found} {what}; the program has {wanted}.")
    for axis, extent in zip(p.axes, binding.extents, strict=True):
        if not _is_int64(extent) or extent < 0:
            raise VerificationError(f"Axis {axis.name!r} has the extent {extent!r}.")
    points = prod(max(binding.extents[axis], 1) for axis in p.iterated_axes)
    if max((points, *(binding.extents[axis] for axis in p.indexed_axes))) > MAX_POINTS:
        raise VerificationError(
            f"The extents {binding.extents} span more than {MAX_POINTS} points."
        )
    for param, value in zip(p.params, binding.params, strict=True):
        fits = _is_int64(value) if param.dtype.name == "i64" else _is_float64(value)
        if not fits:
            raise VerificationError(f"Parameter {param.name!r} is {param.dtype}, not {value!r}.")


def _is_int64(value: object) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _is_float64(value: object) -> bool:
    return isinstance(value, float) or _is_int64(value)


def _elements(slot: Slot, region: Region) -> tuple:
    """Equal for two slots if every point of the iteration space has the same element in both."""
    steps = zip(slot.axes, region.extents, region.steps, strict=True)
    moving = frozenset((axis, step) for axis, extent, step in steps if extent > 1)
    return region.start, region.itemsize, moving


def _region(slot: Slot, bound: SlotBinding, extents: tuple[int, ...]) -> Region:
    if len(bound.strides) != len(slot.axes):
        raise VerificationError(
            f"Slot {slot.name!r} has {len(slot.axes)} axes and was bound with "
            f"{len(bound.strides)} strides."
        )
    for value in (bound.pointer, bound.storage_bytes, bound.offset, *bound.strides):
        if not _is_int64(value):
            raise VerificationError(f"Slot {slot.name!r} is bound with {value!r}: no int64.")
    return slot_region(slot, extents, bound.offset, bound.strides, bound.pointer)


def _verify_bounds(slot: Slot, bound: SlotBinding, region: Region) -> None:
    end = bound.pointer + bound.storage_bytes
    if bound.pointer <= 0 or bound.storage_bytes < 0 or not _is_int64(end):
        raise VerificationError(f"Slot {slot.name!r} is bound to no memory.")
    if bound.pointer % slot.dtype.itemsize:
        raise VerificationError(
            f"Slot {slot.name!r}: the address is not a multiple of {slot.dtype.itemsize} bytes."
        )
    low, high = region.low - bound.pointer, region.high - bound.pointer
    if low < 0 or high > bound.storage_bytes:
        raise VerificationError(
            f"Slot {slot.name!r} would touch bytes {low} to {high} of a storage of "
            f"{bound.storage_bytes} bytes (offset {bound.offset}, strides {bound.strides}, "
            f"extents {region.extents})."
        )
