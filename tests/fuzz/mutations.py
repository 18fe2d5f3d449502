"""Random changes to programs and to bindings that know what they change.

Most changes put something else of the same sort in a place (an opcode of the same form, a register
that is defined, a slot there is), so that many changed programs still verify; some put there what
cannot be right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TypeVar

from gint.isa import DTYPES, OPCODES, Form, Instruction, SectionKind
from gint.isa.instruction import NONE, SIZE, decode
from gint.program import Access, Axis, AxisKind, Param, Program, Section, Slot
from tests.generation import constant

_KINDS = tuple(SectionKind)
_FORMS = {form: [op for op in OPCODES if op.form is form] for form in Form}
_FIELDS = ("d", "a", "b", "c", "n")
_ODD = (NONE, NONE - 1, 64, 4096)

T = TypeVar("T")


def mutated(random: Random, p: Program, most: int = 3) -> Program:
    """`p` with one to `most` changes."""
    for _ in range(random.randint(1, most)):
        p = random.choice(_CHANGES)(random, p)
    return p


def random_instruction(random: Random) -> Instruction:
    """An instruction whose fields are mostly those its opcode has."""
    op, t = random.choice(OPCODES), random.choice(DTYPES)
    wanted = [op.name != "store"] + [op.inputs > k for k in range(3)]
    fields = [_number(random) if w or not random.randrange(30) else NONE for w in wanted]
    imm = constant(random, t.compute) if op.name == "const" else 0
    return Instruction(op, t, *fields, random.randint(0, 3), imm)


def _number(random: Random) -> int:
    return random.choice(_ODD) if not random.randrange(8) else random.randint(0, 6)


def _with(entries: tuple[T, ...], at: int, *new: T) -> tuple[T, ...]:
    return (*entries[:at], *new, *entries[at + 1 :])


def _code(
    change: Callable[[Random, Program, list[Instruction]], None],
) -> Callable[[Random, Program], Program]:
    """A change of the instructions of one section."""

    def changed(random: Random, p: Program) -> Program:
        if not p.sections:
            return p
        at = random.randrange(len(p.sections))
        code = list(p.sections[at].instructions)
        if not code:
            code = [random_instruction(random)]
        change(random, p, code)
        section = replace(p.sections[at], instructions=tuple(code))
        return replace(p, sections=_with(p.sections, at, section))

    return changed


@_code
def _change_opcode(random: Random, p: Program, code: list[Instruction]) -> None:
    at = random.randrange(len(code))
    alike = [op for op in _FORMS[code[at].op.form] if op.inputs == code[at].op.inputs]
    code[at] = replace(code[at], op=random.choice(alike))


@_code
def _change_type(random: Random, p: Program, code: list[Instruction]) -> None:
    at = random.randrange(len(code))
    t = random.choice(DTYPES)
    code[at] = replace(code[at], type=t, imm=0)


@_code
def _change_register(random: Random, p: Program, code: list[Instruction]) -> None:
    at = random.randrange(len(code))
    if code[at].op.inputs:
        name = random.choice("abc"[: code[at].op.inputs])
        code[at] = replace(code[at], **{name: random.randint(0, max(p.register_count, 1))})


@_code
def _change_number(random: Random, p: Program, code: list[Instruction]) -> None:
    at = random.randrange(len(code))
    tables = {Form.PARAM: p.params, Form.AXIS: p.axes}
    code[at] = replace(code[at], n=random.randint(0, len(tables.get(code[at].op.form, p.slots))))


@_code
def _change_constant(random: Random, p: Program, code: list[Instruction]) -> None:
    found = [n for n, i in enumerate(code) if i.op.form is Form.CONST]
    if found:
        at = random.choice(found)
        code[at] = replace(code[at], imm=constant(random, code[at].type))


@_code
def _insert_pointwise(random: Random, p: Program, code: list[Instruction]) -> None:
    """A computation on the registers there are, into a new one."""
    at = random.randint(0, len(code))
    op = random.choice(random.choice((_FORMS[Form.POINTWISE], _FORMS[Form.CAST])))
    made = [i for i in code[:at] if i.writes is not None]
    t = random.choice(made).type.compute if made else random.choice(DTYPES)
    registers = [random.choice(made).d if made else 0 for _ in op.operands]
    new = replace(Instruction(op, t), **dict(zip("abc", registers, strict=False)))
    code.insert(at, replace(new, d=p.register_count))


@_code
def _store_other(random: Random, p: Program, code: list[Instruction]) -> None:
    """Another register goes where one was stored."""
    stores = [n for n, i in enumerate(code) if i.op.form is Form.STORE]
    if stores:
        at = random.choice(stores)
        code[at] = replace(code[at], a=random.randrange(max(p.register_count, 1)))


@_code
def _swap(random: Random, p: Program, code: list[Instruction]) -> None:
    one, other = random.randrange(len(code)), random.randrange(len(code))
    code[one], code[other] = code[other], code[one]


@_code
def _insert(random: Random, p: Program, code: list[Instruction]) -> None:
    code.insert(random.randint(0, len(code)), random_instruction(random))


@_code
def _remove(random: Random, p: Program, code: list[Instruction]) -> None:
    del code[random.randrange(len(code))]


@_code
def _repeat(random: Random, p: Program, code: list[Instruction]) -> None:
    again = random.choice(code)
    if again.writes is not None and random.randrange(4):
        again = replace(again, d=p.register_count)
    code.insert(random.randint(0, len(code)), again)


@_code
def _change_field(random: Random, p: Program, code: list[Instruction]) -> None:
    at = random.randrange(len(code))
    code[at] = replace(code[at], **{random.choice(_FIELDS): _number(random)})


@_code
def _flip_bit(random: Random, p: Program, code: list[Instruction]) -> None:
    at = random.randrange(len(code))
    data = bytearray(code[at].encode())
    data[random.randrange(SIZE)] ^= 1 << random.randrange(8)
    try:
        code[at] = decode(bytes(data))[0]
    except ValueError:
        del code[at]


def _change_kind(random: Random, p: Program) -> Program:
    if not p.sections:
        return p
    at = random.randrange(len(p.sections))
    return replace(
        p, sections=_with(p.sections, at, replace(p.sections[at], kind=random.choice(_KINDS)))
    )


def _move_section(random: Random, p: Program) -> Program:
    sections = list(p.sections)
    random.shuffle(sections)
    return replace(p, sections=tuple(sections))


def _remove_section(random: Random, p: Program) -> Program:
    return replace(p, sections=_with(p.sections, random.randint(0, len(p.sections))))


def _split_section(random: Random, p: Program) -> Program:
    if not p.sections:
        return p
    at = random.randrange(len(p.sections))
    kind, code = p.sections[at].kind, p.sections[at].instructions
    cut = random.randint(0, len(code))
    other = kind if random.randrange(2) else random.choice(_KINDS)
    return replace(
        p, sections=_with(p.sections, at, Section(kind, code[:cut]), Section(other, code[cut:]))
    )


def _change_slot(random: Random, p: Program) -> Program:
    if not p.slots:
        return p
    at = random.randrange(len(p.slots))
    slot = p.slots[at]
    axes = list(slot.axes)
    how = random.randrange(5)
    if how == 0:
        slot = replace(slot, access=random.choice(list(Access)))
    elif how == 1:
        random.shuffle(axes)
        slot = replace(slot, axes=tuple(axes))
    elif how == 2:
        axes.insert(random.randint(0, len(axes)), random.randint(-1, len(p.axes)))
        slot = replace(slot, axes=tuple(axes))
    elif how == 3:
        slot = replace(slot, axes=tuple(axes[1:]))
    else:
        return _with_type(random, p, at)
    return replace(p, slots=_with(p.slots, at, slot))


def _with_type(random: Random, p: Program, at: int) -> Program:
    """A slot of another type, and what moves its elements too."""
    old, new = p.slots[at].dtype, random.choice(DTYPES)
    sections = [
        Section(
            s.kind,
            tuple([replace(i, type=new, imm=0) if _moves(i, at) else i for i in s.instructions]),
        )
        for s in p.sections
    ]
    if old.compute != new.compute and not random.randrange(3):
        sections = list(p.sections)
    slots = _with(p.slots, at, replace(p.slots[at], dtype=new))
    return replace(p, slots=slots, sections=tuple(sections))


def _moves(i: Instruction, slot: int) -> bool:
    return i.op.form in (Form.LOAD, Form.GATHER, Form.STORE) and i.n == slot


def _add_slot(random: Random, p: Program) -> Program:
    """A slot that nothing uses, or one in the way of another's name."""
    name = random.choice(("more", "more", *(s.name for s in p.slots), "1 x"))
    axes = tuple(random.sample(range(len(p.axes)), random.randint(0, len(p.axes))))
    slot = Slot(name, random.choice(DTYPES), random.choice(list(Access)), axes)
    return replace(p, slots=(*p.slots, slot))


def _change_axis(random: Random, p: Program) -> Program:
    if not p.axes:
        return p
    at = random.randrange(len(p.axes))
    return replace(
        p, axes=_with(p.axes, at, replace(p.axes[at], kind=random.choice(list(AxisKind))))
    )


def _add_axes(random: Random, p: Program) -> Program:
    new = [Axis(f"n{k}", random.choice(list(AxisKind))) for k in range(random.choice((1, 1, 14)))]
    return replace(p, axes=(*p.axes, *new))


def _change_params(random: Random, p: Program) -> Program:
    if p.params and random.randrange(2):
        return replace(p, params=p.params[1:])
    return replace(p, params=(*p.params, Param("more_p", random.choice(DTYPES))))


_CHANGES: tuple[Callable[[Random, Program], Program], ...] = (
    *(_change_opcode, _change_type, _change_register, _change_number, _change_constant) * 2,
    *(_insert_pointwise, _store_other) * 3,
    _swap, _insert, _remove, _repeat, _change_field, _flip_bit,
    *(_change_kind, _move_section, _remove_section, _split_section),
    *(_change_slot, _change_slot, _add_slot, _change_axis, _add_axes, _change_params),
)  # fmt: skip
