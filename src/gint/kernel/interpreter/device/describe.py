"""The device form of a program and the dispatches of a launch, as text.

    known at launch     what the host computes, with the values for the binding
    a section           rows of the instruction stream: number, code, operand
    dispatches          how points are dealt: axes, groups of rows and threads, kernels in order

Knows codes and records. Does not know devices; the text depends on the build alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gint.isa import DTYPES
from gint.isa.device import CODES, RECORD
from gint.program import Program
from gint.program.text import format_instruction

from ..numpy.interpreter import run_uniforms
from .build import Build
from .dispatches import Dispatch, DispatchList
from .encoder import Accumulator, DeviceProgram

_NAMES = {number: code for code, number in CODES.items()}
#: What a code's operand n is, by the code, or by what comes before its register's number.
_OPERANDS = {
    "TILES": "{n}", "NEXT": "{n}", "LOAD": "s[{slot}] {type}", "STORE": "s[{slot}] {type}",
    "GATHER": "s[{slot}] {type}", "GATHER_OR": "s[{slot}] {type}", "OUTSIDE": "{imm}",
    "LOAD_R": "s[{slot}]", "INDEX": "index({axis})", "SET": "{imm}", "SET_R0": "{imm}",
    "SET_R1": "{imm}", "GET_ROW": "row[{n}]", "ROW_R0": "row[{n}]", "ROW_R1": "row[{n}]",
    "PUT_ROW": "row[{n}]", "PUT_THREAD": "thread[{n}]", "GET_SPILL": "spill[{n}]",
    "PUT_SPILL": "spill[{n}]", "FILL": "spill[{n}]", "SPILL": "spill[{n}]",
}  # fmt: skip


def describe(
    program: DeviceProgram,
    found: DispatchList,
    build: Build,
    extents: tuple[int, ...],
    params: tuple[int | float, ...],
) -> str:
    """A program in the device form and the dispatches of one launch of it, as text."""
    lines = [
        f"device form: words of {program.word_bits} bits, {build.registers} registers, "
        f"{_count(program.spills, 'spill')}",
        *_known(program, extents, params),
        *_code(program),
        *_dispatches(program, found, build),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _known(program: DeviceProgram, extents, params) -> list[str]:
    if not program.uniforms:
        return []
    p = program.verified.program
    values, _ = run_uniforms(p, program.uniforms, extents, params)
    rows = [(f"  {format_instruction(i, p)}", f"= {values[i.d].item()}") for i in program.uniforms]
    return ["known at launch", *_aligned(rows)]


def _code(program: DeviceProgram) -> list[str]:
    patches = dict(program.patches)
    names = [_NAMES[int(number)] for number in program.code[:, 0]]
    rows = _aligned(
        (f"  {at:3}", name, _operand(program, at, patches)) for at, name in enumerate(names)
    )
    lines: list[str] = []
    end = len(rows)
    for section in reversed(program.sections):
        combined = [f"  {_combined(a)}" for a in section.accumulators]
        lines = [section.kind.value, *rows[section.start : end], *combined, *lines]
        end = section.start
    return lines


def _operand(program: DeviceProgram, at: int, patches: Mapping[int, int]) -> str:
    """What a row works on besides acc and the registers in its code's name."""
    number, n, low, high = (int(word) for word in program.code[at])
    code, imm = _NAMES[number], low | high << 32
    p = program.verified.program
    stem, _, last = code.rpartition("_")
    if code in _OPERANDS or (last.isdecimal() and stem in _OPERANDS):
        form = _OPERANDS[code] if code in _OPERANDS else _OPERANDS[stem]
    elif last in ("ROW", "IMM"):
        form = "row[{n}]" if last == "ROW" else "{imm}"
    elif (code.startswith("FOLD_") and not last.isdecimal()) or (code.startswith("TREE_") and imm):
        form = "spill[{n}]"
    else:
        return ""
    return form.format(
        n=n,
        imm=f"r[{patches[at]}]" if at in patches else imm,
        slot=_named(p.slots, n),
        axis=_named(p.axes, n),
        type=_named(DTYPES, low),
    )


def _named(things: Sequence, n: int) -> str:
    return things[n].name if n < len(things) else ""


def _combined(a: Accumulator) -> str:
    """How what the threads of a row have folded becomes one."""
    return (
        f"row[{a.row}] <- every thread[{a.thread}] by {_NAMES[a.code]}, {_count(a.words, 'word')}"
    )


def _dispatches(program: DeviceProgram, found: DispatchList, build: Build) -> list[str]:
    p, layout = program.verified.program, found.layout
    lane = "none" if layout.lane is None else p.axes[layout.lane].name
    rows, threads = 1 << layout.log_rows, 1 << layout.log_lanes
    along = "rows" if layout.rows_fastest else "threads"
    lines = [
        "dispatches",
        *_axes(p, found),
        f"  lane axis {lane}, along {along}; {_count(layout.rows, 'row')} of "
        f"{_count(layout.points, 'point')}",
        f"  a group: {_count(rows, 'row')}, {_count(threads, 'thread')} for each, "
        f"{_count(build.elements, 'element')} a thread",
        *_aligned(_dispatch(program, found, one) for one in found.dispatches),
        f"  scratch memory: {found.scratch_bytes} bytes",
    ]
    return lines if found.dispatches else ["dispatches: none"]


def _axes(p: Program, found: DispatchList) -> list[str]:
    rows = [("  axes", "extent", "of", "bytes:", *(slot.name for slot in p.slots))]
    for what, axes in (("outer", found.layout.outer), ("inner", found.layout.inner)):
        for axis in axes:
            of = ", ".join(p.axes[n].name for n in axis.sources)
            rows.append((f"  {what}", str(axis.extent), of, "", *map(str, axis.steps)))
    return _aligned(rows, right=(1, *range(4, 4 + len(p.slots))))


def _dispatch(program: DeviceProgram, found: DispatchList, dispatch: Dispatch) -> tuple[str, ...]:
    field = {name: int(found.records[dispatch.record_at + n]) for n, name in enumerate(RECORD)}
    sections = program.sections[field["FIRST_SECTION"] : field["LAST_SECTION"]]
    kinds = ", ".join(section.kind.value for section in sections)
    dealt = "whole rows"
    if field["DEALT"] > 1:
        dealt = f"{field['CHUNKS']} chunks of {_count(field['CHUNK_TILES'], 'tile')}"
    if dispatch.kernel == "gint_combine":
        dealt = "their results"
    return f"  {dispatch.kernel}", _count(dispatch.groups, "group"), kinds, dealt


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'s' * (n != 1)}"


def _aligned(rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    rows = list(rows)
    width = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width[k]) if k in right else cell.ljust(width[k])
            for k, cell in enumerate(row)
        )
        for row in rows
    ]
