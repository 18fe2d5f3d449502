"""What is made from the instruction table: the C headers and docs/isa.md.

python -m gint.isa.generate header OUT     the header all native interpreters include
python -m gint.isa.generate device OUT     the header the device interpreters include
python -m gint.isa.generate docs OUT       the reference page
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from . import errors, limits
from .dtypes import DTYPES, DType, Kind
from .instruction import FIELDS, NONE, SIZE
from .opcodes import OPCODES, Form, Opcode
from .sections import SectionKind

_ORIGIN = "Generated from gint/isa by gint.isa.generate. Do not edit."
#: C types of an instruction's fields, by what `struct` has for them.
_FIELD_TYPES = {"B": "uint8_t", "H": "uint16_t", "8s": "int64_t"}


def checksum() -> int:
    """Of what native code was built to rely on: numbers and names of opcodes and types, encodings.

    A module built from another table would run other instructions than meant: its loader compares.
    """
    types = [(t.code, t.name) for t in DTYPES]
    rows = [(op.code, op.name, op.types, op.operands, op.result) for op in OPCODES]
    return zlib.crc32(repr((types, rows, FIELDS, _numbers())).encode())


def header() -> str:
    """The C header: numbers of types and opcodes, and lists to expand with a macro X.

    GI_TYPE_NAMES(X)      X(type, "name") in the order of numbers, GI_CHAIN_NAMES(X) likewise
    GI_POINTWISE_1(X)     X(opcode, type, result C type, C type of a, expression)
    GI_POINTWISE_2(X)     X(opcode, type, result, a, b, expression), GI_POINTWISE_3 likewise
    GI_REDUCE(X)          X(opcode, type, C type, expression of a (accumulator) and b, neutral)
    GI_REDUCE_INDEX(X)    X(opcode, type, C type, is value a better than b, neutral)
    GI_SCAN(X)            X(opcode, type, C type, C type carried, expression of a (before) and b,
                          neutral)
    GI_CASTS(X)           X(to type, C type, from type, C type)
    GI_STORAGE(X)         X(type, C type in memory, compute type, C type in registers)
    GI_INSTRUCTION(X)     X(C type, field of an encoded instruction)
    GI_OPCODES(X)         X(opcode, "name", registers read, cost, is it a reduction, and of indices,
                          is it a scan, may it set the error flag (of floats only a gather does),
                          links of chains whose accumulator is operand a, operand b, both)
    GI_CHAIN_1(X)         X(link, type, C type, expression of the accumulator a)
    GI_CHAIN_2(X)         X(link, type, C type, accumulator and operand: a and b or b and a,
                          expression)
    """
    lines = [*_common(), "#include <cstdint>", "", "enum GiOpcode {"]
    lines += [f"  GI_OP_{op.name.upper()} = {op.code},  // {op.meaning}" for op in OPCODES]
    lines += ["};", "", f"#define GI_OPCODE_COUNT {len(OPCODES)}"]
    lines += [f"#define GI_TYPE_COUNT {len(DTYPES)}", f"#define GI_INSTRUCTION_SIZE {SIZE}"]
    lines += [f"#define GI_NO_REGISTER {NONE}", f"#define GI_TABLE_CHECKSUM {checksum()}u", ""]
    lines += _list("GI_INSTRUCTION", [(_FIELD_TYPES[form], name) for name, form in FIELDS])
    lines += _links()
    lines += _list("GI_OPCODES", [_facts(op) for op in OPCODES])
    lines += _list("GI_CHAIN_1", _chain_alone())
    lines += _list("GI_CHAIN_2", _chain_with_operand())
    lines += _list("GI_TYPE_NAMES", [(t.name, f'"{t.name}"') for t in DTYPES])
    for inputs in (1, 2, 3):
        lines += _list(f"GI_POINTWISE_{inputs}", _pointwise(inputs))
    lines += _list("GI_REDUCE", _reductions("T"))
    lines += _list("GI_REDUCE_INDEX", _reductions("i64"))
    lines += _list("GI_SCAN", _scans())
    compute = [t for t in DTYPES if not t.is_storage_only]
    casts = [(to.name, to.c, fr.name, fr.c) for to in compute for fr in compute]
    lines += _list("GI_CASTS", casts)
    lines += _list("GI_STORAGE", [(t.name, t.c, t.compute.name, t.compute.c) for t in DTYPES])
    return "\n".join(lines)


def device_header() -> str:
    """The C header of the device interpreters; `gint.isa.device.header` says what is in it."""
    from . import device  # its codes are many, and `checksum` is asked for at every start

    return "\n".join([*_common(), f"#define GI_TABLE_CHECKSUM {checksum()}u", "", *device.header()])


def _common() -> list[str]:
    """What both headers begin with."""
    types = [f"  GI_{t.name} = {t.code}," for t in DTYPES]
    numbers = [f"#define GI_{name} {value}" for name, value in _numbers().items()]
    return [f"// {_ORIGIN}", "#pragma once", "", "enum GiType {", *types, "};", *numbers, ""]


def _numbers() -> dict[str, int]:
    """Limits, error bits and kinds of sections."""
    found = {n: v for m in (limits, errors) for n, v in vars(m).items() if n.isupper()}
    return found | {f"SECTION_{kind.name}": kind.code for kind in SectionKind}


def _list(name: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
    body = [f"  X({', '.join(row)})" for row in rows]
    return [f"#define {name}(X) \\", " \\\n".join(body), ""]


def _types_of(op: Opcode) -> list[DType]:
    return [t for t in DTYPES if t.name in op.types]


def _pointwise(inputs: int) -> list[tuple[str, ...]]:
    rows = []
    for op in OPCODES:
        if op.form is Form.POINTWISE and op.inputs == inputs:
            for t in _types_of(op):
                operands = tuple(o.c for o in op.operand_types(t))
                result = op.result_type(t).c
                rows.append((op.name.upper(), t.name, result, *operands, f"({op.c_for(t)})"))
    return rows


def _facts(op: Opcode) -> tuple[str, ...]:
    reduces = op.form is Form.REDUCE
    links = (f"CHAIN_{link}" if link else "CHAIN_OPS" for link in op.links)
    scans, fails = op.form is Form.SCAN, op.sets_error or op.form is Form.GATHER
    flags = tuple(str(int(f)) for f in (reduces, reduces and op.inputs == 2, scans, fails))
    name = (op.name.upper(), f'"{op.name}"')
    return (*name, str(op.inputs), str(op.cost), *flags, *links)


def _links() -> list[str]:
    """KEEP is x, and y <- x; CHOOSE a choice by a comparison; the others are table rows'."""
    links = [
        "KEEP",
        "CHOOSE",
        *(link for op in OPCODES for link in dict.fromkeys(op.links) if link),
    ]
    lines = ["enum ChainOp : uint8_t {", *(f"  CHAIN_{link}," for link in links), "  CHAIN_OPS"]
    names = [(f"CHAIN_{link}", f'"{link.lower()}"') for link in links]
    return [*lines, "};", "", *_list("GI_CHAIN_NAMES", names)]


def _chain_alone() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for op in OPCODES:
        link = op.links[0] if op.inputs == 1 else op.links[2]
        for t in _floats_of(op) if link else ():
            expression = re.sub(r"\bb\b", "a", op.c_for(t))
            rows.append((link, t.name, t.c, f"({expression})"))
    return rows


def _chain_with_operand() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for op in OPCODES:
        first, second, _ = op.links
        places = {second: ("b", "a"), first: ("a", "b")} if op.inputs == 2 else {}
        for link, names in places.items():
            for t in _floats_of(op) if link else ():
                rows.append((link, t.name, t.c, *names, f"({op.c_for(t)})"))
    return rows


def _floats_of(op: Opcode) -> list[DType]:
    return [t for t in _types_of(op) if t.kind is Kind.FLOAT]


def _reductions(result: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for op in OPCODES:
        if op.form is Form.REDUCE and op.result == result:
            for t in _types_of(op):
                code, neutral = f"({op.c_for(t)})", f"({op.neutral_for(t)})"
                rows.append((op.name.upper(), t.name, t.c, code, neutral))
    return rows


def _scans() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for op in (op for op in OPCODES if op.form is Form.SCAN):
        for t in _types_of(op):
            carried = op.carried_type(t)
            code, neutral = f"({op.c_for(carried)})", f"({op.neutral_for(carried)})"
            rows.append((op.name.upper(), t.name, t.c, carried.c, code, neutral))
    return rows


def docs() -> str:
    """docs/isa.md: the table as a page."""
    lines = [
        "# Instruction set", "", f"<!-- {_ORIGIN} -->", "",
        "`r[d]` is the register written, `r[a] r[b] r[c]` those read, `acc[d]` an accumulator,",
        "`before[d]` register d at the position before along the reduced axis (a *scan*), `s[n]` a",
        "tensor slot, `s[n][i]` that slot at positions i along its indexed axes, `p[n]` a",
        "parameter, `extent(n)` and `index(n)` axis n, `imm` the",
        "immediate, `T` the instruction's type. An instruction is "
        f"{SIZE} bytes wide.", "",
        "## Data types", "", "| number | name | in memory | in a register |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {t.code} | `{t.name}` | {t.itemsize} B | `{t.compute}` |" for t in DTYPES]
    lines += [
        "", "## Sections", "", "| number | kind |", "|---|---|",
        *(f"| {kind.code} | `{kind.value}` |" for kind in SectionKind),
        "", "## Limits", "", "| limit | value |", "|---|---|", *_constants(limits),
        "", "## Bits of the error flag", "", "| bit | value |", "|---|---|", *_constants(errors),
        "", "## Opcodes", "",
        "The cost is the time of one element of 4 bytes, in units of a cheap operation on one that",
        "lies in the L1 cache.", "",
        "| number | opcode | meaning | types | cost | notes |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for op in OPCODES:
        meaning = op.meaning.replace("|", r"\|")
        result = "" if op.result == "T" else f"Gives {op.result}. "
        last = "" if op.exact else " Floats: not the same bits on every backend."
        note = (result + op.note + last).replace("|", r"\|").strip()
        types = " ".join(op.types)
        lines.append(f"| {op.code} | `{op.name}` | `{meaning}` | {types} | {op.cost} | {note} |")
    return "\n".join(lines) + "\n"


def _constants(module: ModuleType) -> list[str]:
    return [f"| `{name}` | {value} |" for name, value in vars(module).items() if name.isupper()]


def main(argv: list[str]) -> int:
    makers = {"header": header, "device": device_header, "docs": docs}
    if len(argv) != 2 or argv[0] not in makers:
        print("usage: python -m gint.isa.generate header|device|docs OUT", file=sys.stderr)
        return 2
    text, out = makers[argv[0]](), Path(argv[1])
    if not out.exists() or out.read_text() != text:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
