"""The device form's codes: one for every case, numbered by which builds have it."""

import re

import pytest

from gint.isa import DTYPES, OPCODES, Form, Opcode, dtype
from gint.isa.device import CODES, MAX_REGISTERS, RECORD, SOURCES, group, header, name
from gint.isa.dtypes import Kind

TEXT = "\n".join(header())
POINTWISE = [op for op in OPCODES if op.form is Form.POINTWISE]
REDUCTIONS = [op for op in OPCODES if op.form is Form.REDUCE]
SCANS = [op for op in OPCODES if op.form is Form.SCAN]
#: The types beyond words of 32 bits that each build computes in.
WIDE = {"NARROW": set(), "I64": {"i64"}, "F64": {"i64", "f64"}}


def rows(list_name: str) -> list[list[str]]:
    """The rows of one list of the header, split at their commas."""
    body = TEXT.partition(f"#define {list_name}(X)")[2].partition("\n\n")[0]
    return [row.split(", ", 3) for row in re.findall(r"^  X\((.*)\)", body, re.M)]


def types_in(code: str) -> set[str]:
    return {t.name for t in DTYPES} & set(code.split("_"))


def test_builds_of_narrow_words_have_the_first_codes():
    """So their switch is dense; float64, which some devices lack, comes last."""
    assert list(CODES.values()) == list(range(len(CODES)))
    narrow, i64, f64 = (
        [CODES[row[0]] for what in ("1", "2", "3", "CAST") for row in rows(f"GI_DEVICE_{what}_{b}")]
        for b in WIDE
    )
    assert max(narrow) < min(i64)
    assert max(i64) < min(f64)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((), "NARROW"),
        (("f32", "i32", "bool", "u8"), "NARROW"),
        (("f32", "i64"), "I64"),
        (("f64",), "F64"),
        (("i64", "f64"), "F64"),
    ],
)
def test_groups(types, expected):
    assert group(*map(dtype, types)) == expected


@pytest.mark.parametrize("op", POINTWISE, ids=lambda o: o.name)
def test_a_pointwise_opcode_has_a_code_for_each_type_and_place(op):
    for t in map(dtype, op.types):
        assert name(op, t) in CODES
        places = {f"{name(op, t)}_{way}{s}" for s in SOURCES for way in ("", "FROM_")}
        has_them = op.direct and t.kind is Kind.FLOAT
        assert places & CODES.keys() == (places if has_them else set())


@pytest.mark.parametrize("op", SCANS, ids=lambda o: o.name)
def test_a_scan_has_a_code_for_each_type(op):
    for t in map(dtype, op.types):
        assert name(op, t) in CODES
        assert any(row[0] == name(op, t) for row in rows(f"GI_DEVICE_SCAN_{group(t)}"))


@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda o: o.name)
def test_a_reduction_begins_folds_and_ends(op):
    for t in map(dtype, op.types):
        assert {f"{word}_{name(op, t)}" for word in ("NEUTRAL", "FOLD", "TREE")} <= CODES.keys()
        into_registers = {f"FOLD_{name(op, t)}_{k}" for k in range(MAX_REGISTERS)}
        has_them = op.direct and t.kind is Kind.FLOAT
        assert len(into_registers & CODES.keys()) == has_them * MAX_REGISTERS


def test_there_is_a_cast_between_any_two_types_that_registers_hold():
    compute = [t.name for t in DTYPES if not t.is_storage_only]
    casts = {code for code in CODES if code.startswith("CAST_")}
    assert casts == {f"CAST_{a}_{b}" for a in compute for b in compute if a != b}


def test_the_header_numbers_codes_and_fields_of_the_record():
    for code, number in CODES.items():
        assert f"  GI_C_{code} = {number}," in TEXT
    for number, field in enumerate(RECORD):
        assert f"  GI_R_{field} = {number}," in TEXT
    assert f"#define GI_DEVICE_REGISTERS {MAX_REGISTERS}" in TEXT


def named(ops: list[Opcode], inputs: int) -> list[str]:
    """The names of all cases of the opcodes that read so many registers."""
    return sorted(name(op, dtype(t)) for op in ops if op.inputs == inputs for t in op.types)


def listed(what: str) -> list[str]:
    """The codes of a list in the header, of all builds together."""
    return sorted(row[0] for build in WIDE for row in rows(f"GI_DEVICE_{what}_{build}"))


def test_every_code_that_computes_is_in_one_list_of_one_build():
    assert [listed(str(n)) for n in (1, 2, 3)] == [named(POINTWISE, n) for n in (1, 2, 3)]
    assert listed("REDUCE") == named(REDUCTIONS, 1)
    assert listed("INDEX") == named(REDUCTIONS, 2)
    assert listed("CAST") == sorted(code for code in CODES if code.startswith("CAST_"))


def test_direct_codes_are_the_floats_of_direct_opcodes():
    for what, ops in (("DIRECT", POINTWISE), ("FOLD", REDUCTIONS)):
        direct = [op for op in ops if op.direct]
        assert listed(what) == sorted(name(op, dtype(t)) for op in direct for t in ("f32", "f64"))


@pytest.mark.parametrize("build", WIDE)
def test_a_build_computes_in_no_wider_type(build):
    for what in ("1", "2", "3", "DIRECT", "REDUCE", "FOLD", "INDEX", "CAST"):
        for row in rows(f"GI_DEVICE_{what}_{build}"):
            assert types_in(row[0]) & {"i64", "f64"} <= WIDE[build]
