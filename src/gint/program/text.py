"""The text form of a program: assemble and disassemble, exact inverses of each other.

    program rms_norm
    axis rows parallel
    axis cols reduced
    slot x f32 in (rows, cols)
    slot y f32 out (rows, cols)
    param eps f64
    reduce
      load.f32 r[0] <- s[x]
      mul.f32 r[1] <- r[0] * r[0]
      sum.f32 acc[2] <- acc[2] + r[1]
    ...

An instruction line is `opcode.type` and the opcode's meaning from the table with its symbols
filled in. `#` starts a comment.
"""

from __future__ import annotations

import re
from functools import cache

from gint.isa import Form, Instruction, Opcode, SectionKind, dtype, opcode
from gint.isa.dtypes import Kind

from .model import Access, Axis, AxisKind, Param, Program, Section, Slot

_FIELD = re.compile(r"\[([abcdn])\]|\((n)\)|\b(imm)\b|\b(T)\(")
_AXIS = "'NAME parallel|reduced|indexed'"
#: What names of programs, axes, slots and parameters look like.
NAME = r"[A-Za-z_][A-Za-z0-9_.]*"


def disassemble(program: Program) -> str:
    """The text form of `program`, one line per declaration and instruction."""
    lines = [f"program {program.name}"]
    lines += [f"axis {axis.name} {axis.kind.value}" for axis in program.axes]
    for slot in program.slots:
        axes = ", ".join(_name_of(program.axes, i) for i in slot.axes)
        lines.append(f"slot {slot.name} {slot.dtype} {slot.access.value} ({axes})")
    lines += [f"param {param.name} {param.dtype}" for param in program.params]
    for section in program.sections:
        lines.append(section.kind.value)
        lines += [f"  {format_instruction(i, program)}" for i in section.instructions]
    return "\n".join(lines) + "\n"


def format_instruction(i: Instruction, program: Program) -> str:
    """One instruction in the table's notation, slots, parameters and axes by name."""

    def fill(match: re.Match) -> str:
        register, axis, immediate, _ = match.groups()
        if immediate:
            return _format_immediate(i)
        if axis:
            return f"({_name_of(program.axes, i.n)})"
        if register == "n":
            table = program.params if i.op.form is Form.PARAM else program.slots
            return f"[{_name_of(table, i.n)}]"
        if register:
            return f"[{getattr(i, register)}]"
        return f"{i.type}("

    return f"{i.op.name}.{i.type} {_FIELD.sub(fill, i.op.meaning)}"


def _name_of(table: tuple, n: int) -> str:
    return table[n].name if n in range(len(table)) else f"?{n}"


def _format_immediate(i: Instruction) -> str:
    if i.type.kind is Kind.FLOAT:
        return repr(float(i.imm))
    return str(bool(i.imm)).lower() if i.type.kind is Kind.BOOL else str(int(i.imm))


@cache
def _pattern(op: Opcode) -> re.Pattern:
    """The opcode's meaning as a regular expression with a group per symbol."""
    parts, end, seen = [], 0, set()
    for match in _FIELD.finditer(op.meaning):
        parts.append(re.escape(op.meaning[end : match.start()]))
        register, axis, immediate, cast = match.groups()
        if cast:
            parts.append(r"(?P<T>\w+)\(")
        elif immediate:
            parts.append(r"(?P<imm>\S+)")
        else:
            name = register or axis
            wanted = NAME if name == "n" else r"[0-9]+"
            group = f"(?P={name})" if name in seen else f"(?P<{name}>{wanted})"
            parts.append(rf"\({group}\)" if axis else rf"\[{group}\]")
            seen.add(name)
        end = match.end()
    parts.append(re.escape(op.meaning[end:]))
    return re.compile("".join(parts).replace(r"\ ", r"\s*"))


def assemble(text: str) -> Program:
    """The program a text describes. Raises ValueError naming the line and what it should be."""
    reader = _Reader()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        try:
            reader.read(line)
        except ValueError as error:
            raise ValueError(f"Line {number}, {line!r}: {error}") from None
    return reader.program()


class _Reader:
    def __init__(self) -> None:
        self.name = "program"
        self.axes: dict[str, Axis] = {}
        self.slots: dict[str, Slot] = {}
        self.params: dict[str, Param] = {}
        self.sections: list[tuple[SectionKind, list[Instruction]]] = []

    def read(self, line: str) -> None:
        word, *others = line.split(None, 1)
        rest = others[0] if others else ""
        declare = {
            "program": self._program, "axis": self._axis, "slot": self._slot, "param": self._param
        }.get(word)  # fmt: skip
        if declare:
            declare(rest)
        elif word in SectionKind._value2member_map_ and not rest:
            self.sections.append((SectionKind(word), []))
        elif "." in word:
            op_name, type_name = word.split(".", 1)
            self._instruction(op_name, type_name, rest)
        else:
            raise ValueError(
                "expected program, axis, slot, param, a section (map, reduce, scalar) "
                "or an instruction 'opcode.type ...'."
            )

    def _program(self, rest: str) -> None:
        self.name = _require(rf"({NAME})", rest, "a name")[0]

    def _axis(self, rest: str) -> None:
        name, kind = _require(rf"({NAME}) (parallel|reduced|indexed)", rest, _AXIS)
        _declare(self.axes, name, Axis(name, AxisKind(kind)))

    def _slot(self, rest: str) -> None:
        form = rf"({NAME}) (\w+) (in|out|inout) \((.*)\)"
        name, type_name, access, axes = _require(form, rest, "'NAME TYPE in|out|inout (AXES)'")
        names = [a.strip() for a in axes.split(",") if a.strip()]
        indices = tuple(_index(self.axes, a, "axis") for a in names)
        _declare(self.slots, name, Slot(name, dtype(type_name), Access(access), indices))

    def _param(self, rest: str) -> None:
        name, type_name = _require(rf"({NAME}) (\w+)", rest, "'NAME TYPE'")
        _declare(self.params, name, Param(name, dtype(type_name)))

    def _instruction(self, op_name: str, type_name: str, rest: str) -> None:
        if not self.sections:
            raise ValueError("an instruction before the first section; start one with 'map'.")
        op, t = opcode(op_name), dtype(type_name)
        match = _pattern(op).fullmatch(rest)
        if not match:
            raise ValueError(f"expected '{op.meaning}' after {op_name}.{type_name}.")
        fields = {k: v for k, v in match.groupdict().items() if v is not None}
        if fields.get("T", type_name) != type_name:
            raise ValueError(f"{op_name}.{type_name} gives {type_name}, not {fields['T']}.")
        values: dict = {k: int(v) for k, v in fields.items() if k in "abcd"}
        if "n" in fields:
            values["n"] = self._number(op, fields["n"])
        if "imm" in fields:
            values["imm"] = _parse_immediate(fields["imm"], t.kind)
        self.sections[-1][1].append(Instruction(op, t, **values))

    def _number(self, op: Opcode, name: str) -> int:
        if op.form is Form.PARAM:
            return _index(self.params, name, "parameter")
        if op.form is Form.AXIS:
            return _index(self.axes, name, "axis")
        return _index(self.slots, name, "slot")

    def program(self) -> Program:
        sections = tuple(Section(kind, tuple(code)) for kind, code in self.sections)
        axes, slots = tuple(self.axes.values()), tuple(self.slots.values())
        return Program(self.name, axes, slots, tuple(self.params.values()), sections)


def _require(pattern: str, text: str, form: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern.replace(" ", r"\s+"), text)
    if not match:
        raise ValueError(f"expected {form}.")
    return match.groups()


def _declare(table: dict, name: str, value: object) -> None:
    if name in table:
        raise ValueError(f"{name!r} is declared twice.")
    table[name] = value


def _index(table: dict, name: str, what: str) -> int:
    if name not in table:
        known = ", ".join(table) or "none"
        raise ValueError(f"there is no {what} {name!r}; declared: {known}.")
    return list(table).index(name)


def _parse_immediate(text: str, kind: Kind) -> int | float | bool:
    if kind is Kind.FLOAT:
        return float(text)
    if kind is Kind.BOOL:
        if text not in ("true", "false"):
            raise ValueError(f"{text!r} is no bool; expected true or false.")
        return text == "true"
    return int(text)
