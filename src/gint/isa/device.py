"""The instruction set of the device form of a program, made from the instruction table.

A GPU runs programs in a form of their own (gint/kernel/interpreter/device says why): every thread
holds an accumulator `acc` and a few registers `r0 r1 ...`, all of several elements, and

    scratch memory   spill[n] several elements, thread[n] and row[n] one word each
    immediates       constants, and everything that is known at launch: parameters, extents

A *code* is one case of the device interpreter's switch. Codes are counted here and nowhere else;
`header` gives them to the C source together with the expressions of the table, in groups: what
32-bit words hold, what needs 64, and float64, which some devices lack.

Notation: `acc[*]` all elements, `i` the row of the instruction stream, `n` its operand.
"""

from __future__ import annotations

from collections.abc import Iterator

from .dtypes import DTYPES, DType, Kind
from .limits import MAX_SLOTS
from .opcodes import OPCODES, Form, Opcode

#: Registers r0, r1 ... there are codes for; a build may have fewer.
MAX_REGISTERS = 8

_SINGLE = (
    "END",  # leave the section
    "TILES",  # begin the first tile, or go to n where there is none
    "NEXT",  # begin the next tile and go to n, or go on
    "LOAD",  # acc[*] <- s[n]
    "GATHER",  # acc[*] <- s[n][acc[*], r0[*], r1[*]]; imm: the type, and how many positions
    "GATHER_OR",  # the same; the next row's imm where a position is outside
    "OUTSIDE",  # that row
    "STORE",  # s[n] <- acc[*]
    "INDEX",  # acc[*] <- index(n)
    "SET",  # acc[*] <- imm
    "SET_R0",  # r0[*] <- imm
    "SET_R1",  # r1[*] <- imm
    "GET_ROW",  # acc[*] <- row[n]
    "ROW_R0",  # r0[*] <- row[n]
    "ROW_R1",  # r1[*] <- row[n]
    "PUT_ROW",  # row[n] <- acc[0]
    "PUT_THREAD",  # thread[n] <- acc[0]
    "GET_SPILL",  # acc[*] <- spill[n]
    "PUT_SPILL",  # spill[n] <- acc[*]
)
_PER_REGISTER = (
    "GET",  # acc[*] <- rK[*]
    "PUT",  # rK[*] <- acc[*]
    "LOAD_R",  # rK[*] <- s[n], of 4 bytes an element
    "COPY_R0",  # r0[*] <- rK[*]
    "COPY_R1",  # r1[*] <- rK[*]
    "FILL",  # rK[*] <- spill[n]
    "SPILL",  # spill[n] <- rK[*]
)
#: Places the second operand of a direct opcode may be in.
SOURCES = ("ACC", "IMM", "ROW", *(f"R{k}" for k in range(MAX_REGISTERS)))

#: Fields of a dispatch's record, 64 bits each (device/dispatches.py fills them).
RECORD = (
    "ROWS",  # points of the outer axes
    "INNER",  # points of the inner axes
    "LOG_ROWS",  # log2 of the rows a work-group has side by side
    "LOG_LANES",  # log2 of the threads that share a row
    "ROWS_FASTEST",  # 1: neighbouring threads have neighbouring rows; 0: points of one row
    "ITEMS",  # pieces of work: groups of rows times DEALT
    "DEALT",  # chunks of a row dealt to different work-groups; 1: one group has whole rows
    "TILES",  # tiles of the inner axes
    "CHUNK_TILES",  # tiles of a chunk
    "CHUNKS",  # chunks of a row
    "FIRST_SECTION",
    "LAST_SECTION",  # one past the last
    "SECTIONS_AT",  # positions in the record, in 64-bit words
    "CODE_AT",
    "SLOTS_AT",
    "SLOT_WORDS",  # of a slot's entry: byte offset, steps along the axes; extent and step, indexed
    "AXES_AT",
    "OUTER_RANK",
    "INNER_RANK",
    "PLACES_AT",  # program axis -> axis of the launch
    "THREADS",  # of the launch
    "SPILL_AT",  # positions in scratch memory, in words
    "THREAD_AT",
    "ROW_AT",
    "ROW_STRIDE",
    "ROW_SHARED",  # 1: row[n] is indexed by the row; 0: by the thread
    "PARTIALS_AT",
)


def group(*types: DType) -> str:
    """Which builds have a code over these types: NARROW all, I64 and F64 those of 64-bit words."""
    names = {t.name for t in types}
    return "F64" if "f64" in names else "I64" if "i64" in names else "NARROW"


def name(op: Opcode, t: DType) -> str:
    return f"{op.name.upper()}_{t.name}"


def _rows(form: Form) -> Iterator[tuple[Opcode, DType]]:
    for op in OPCODES:
        if op.form is form:
            for t in DTYPES:
                if t.name in op.types:
                    yield op, t


def _direct(form: Form) -> Iterator[tuple[Opcode, DType]]:
    return ((op, t) for op, t in _rows(form) if op.direct and t.kind is Kind.FLOAT)


def _casts() -> Iterator[tuple[DType, DType]]:
    compute = [t for t in DTYPES if not t.is_storage_only]
    return ((to, fr) for to in compute for fr in compute if to is not fr)


def _count() -> dict[str, int]:
    """NARROW codes first, so that a build of 32-bit words has one dense switch."""
    codes = [*_SINGLE, *(f"{word}_{k}" for word in _PER_REGISTER for k in range(MAX_REGISTERS))]
    for wanted in ("NARROW", "I64", "F64"):
        for op, t in _direct(Form.POINTWISE):
            if group(t) == wanted:
                codes += [f"{name(op, t)}_{s}" for s in SOURCES]
                codes += [f"{name(op, t)}_FROM_{s}" for s in SOURCES]
        for op, t in _direct(Form.REDUCE):
            if group(t) == wanted:
                codes += [f"FOLD_{name(op, t)}_{k}" for k in range(MAX_REGISTERS)]
        for op, t in _rows(Form.POINTWISE):
            if group(t, op.result_type(t), *op.operand_types(t)) == wanted:
                codes.append(name(op, t))
        for to, fr in _casts():
            if group(to, fr) == wanted:
                codes.append(f"CAST_{to}_{fr}")
        for op, t in _rows(Form.SCAN):
            if group(t) == wanted:
                codes.append(name(op, t))  # acc[*] <- fold(before, acc[*]); spill[n] has `before`
        for op, t in _rows(Form.REDUCE):
            if group(t, op.result_type(t)) == wanted:
                codes += [f"{word}_{name(op, t)}" for word in ("NEUTRAL", "FOLD", "TREE")]
    return {code: number for number, code in enumerate(codes)}


#: Every code and its number.
CODES: dict[str, int] = _count()


def header() -> list[str]:
    """Lines of the C header: numbers of codes, fields of the record, and the table's expressions.

    GI_DEVICE_1_GROUP(X)       X(code, heavy, result C type, C type of a, expression), _2 and _3 too
    GI_DEVICE_DIRECT_GROUP(X)  X(code, C type, expression of a and b)
    GI_DEVICE_REDUCE_GROUP(X)  X(code, C type, expression of a (accumulator) and b, neutral)
    GI_DEVICE_FOLD_GROUP(X)    the same for those that fold into registers too
    GI_DEVICE_INDEX_GROUP(X)   X(code, C type, is value a better than b, neutral)
    GI_DEVICE_SCAN_GROUP(X)    X(code, C type, expression of a (before) and b, neutral)
    GI_DEVICE_CAST_GROUP(X)    X(code, to C type, from C type)
    GI_SLOT_NUMBERS(X)         X(number of a tensor slot)
    """
    lines = ["enum GiCode {", *(f"  GI_C_{code} = {n}," for code, n in CODES.items()), "};", ""]
    lines += [f"#define GI_DEVICE_REGISTERS {MAX_REGISTERS}", "", "enum GiRecord {"]
    lines += [*(f"  GI_R_{field} = {n}," for n, field in enumerate(RECORD)), "};", ""]
    lines += [f"#define GI_SLOT_NUMBERS(X) {' '.join(f'X({n})' for n in range(MAX_SLOTS))}", ""]
    for wanted in ("NARROW", "I64", "F64"):
        for what, rows in _lists(wanted):
            lines.append(f"#define GI_DEVICE_{what}_{wanted}(X) \\")
            lines.append(" \\\n".join(f"  X({', '.join(row)})" for row in rows))
            lines.append("")
    return lines


def _lists(wanted: str) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    pointwise = [
        (op, t)
        for op, t in _rows(Form.POINTWISE)
        if group(t, op.result_type(t), *op.operand_types(t)) == wanted
    ]
    for inputs in (1, 2, 3):
        rows = [_pointwise(op, t) for op, t in pointwise if op.inputs == inputs]
        yield str(inputs), rows
    direct = [(op, t) for op, t in _direct(Form.POINTWISE) if group(t) == wanted]
    yield "DIRECT", [(name(op, t), t.c, f"({op.c_for(t)})") for op, t in direct]
    folds = [(op, t) for op, t in _rows(Form.REDUCE) if group(t, op.result_type(t)) == wanted]
    yield "REDUCE", [_reduction(op, t) for op, t in folds if op.inputs == 1]
    yield "INDEX", [_reduction(op, t) for op, t in folds if op.inputs == 2]
    yield "SCAN", [_reduction(op, t) for op, t in _rows(Form.SCAN) if group(t) == wanted]
    direct = [(op, t) for op, t in _direct(Form.REDUCE) if group(t) == wanted]
    yield "FOLD", [_reduction(op, t) for op, t in direct]
    casts = [(to, fr) for to, fr in _casts() if group(to, fr) == wanted]
    yield "CAST", [(f"CAST_{to}_{fr}", to.c, fr.c) for to, fr in casts]


def _pointwise(op: Opcode, t: DType) -> tuple[str, ...]:
    types = (op.result_type(t).c, *(o.c for o in op.operand_types(t)))
    return (name(op, t), str(int(op.heavy)), *types, f"({op.c_for(t)})")


def _reduction(op: Opcode, t: DType) -> tuple[str, ...]:
    return (name(op, t), t.c, f"({op.c_for(t)})", f"({op.neutral_for(t)})")
