"""What is generated from the table is complete and current."""

import re
from pathlib import Path

import pytest

from gint.isa import DTYPES, OPCODES, Form, SectionKind, dtype, errors, limits
from gint.isa.generate import checksum, device_header, docs, header, main

_COMPUTING = [op for op in OPCODES if op.form in (Form.POINTWISE, Form.REDUCE, Form.SCAN)]
_CASES = [(op, t) for op in _COMPUTING for t in op.types]


@pytest.mark.checkout
def test_the_page_of_the_instruction_set_is_current():
    page = Path(__file__).parents[2] / "docs" / "isa.md"
    assert page.read_text() == docs(), "run: python -m gint.isa.generate docs docs/isa.md"


@pytest.mark.parametrize(("op", "type_name"), _CASES, ids=lambda v: getattr(v, "name", v))
def test_every_opcode_has_a_meaning_in_numpy_and_c_for_every_type(op, type_name):
    t = dtype(type_name)
    compile(op.numpy_for(t), op.name, "eval")
    folds = op.form in (Form.REDUCE, Form.SCAN)
    expressions = [op.c_for(t)] + ([op.neutral_for(t)] if folds else [])
    for text in expressions:
        assert text
        assert "{" not in text
        assert text.count("(") == text.count(")")


def test_other_forms_state_no_expression_of_their_own():
    assert all(not op.numpy and not op.c for op in OPCODES if op not in _COMPUTING)


def test_the_header_numbers_opcodes_and_types_as_the_encoding_does():
    text = header()
    for op in OPCODES:
        assert f"  GI_OP_{op.name.upper()} = {op.code}," in text
    for t in DTYPES:
        assert re.search(rf"(?i) GI_{t.name} = {t.code},", text)


def test_the_header_lists_every_computing_opcode_for_every_type():
    rows = [line.strip() for line in header().splitlines() if line.startswith("  X(")]
    found = {tuple(row[2:].split(", ")[:2]) for row in rows}
    for op, t in _CASES:
        assert (op.name.upper(), t) in found


def test_the_header_has_the_facts_of_every_opcode():
    lines = header().splitlines()
    at = lines.index("#define GI_OPCODES(X) \\") + 1
    for op, line in zip(OPCODES, lines[at : at + len(OPCODES)], strict=True):
        assert line.startswith(f'  X({op.name.upper()}, "{op.name}", {op.inputs}, {op.cost}, ')
    facts = {op.name: line.strip(" \\") for op, line in zip(OPCODES, lines[at:], strict=False)}
    none = "CHAIN_OPS"
    assert facts["add"] == 'X(ADD, "add", 2, 1, 0, 0, 0, 0, CHAIN_ADD, CHAIN_ADD, CHAIN_ADD_SELF)'
    assert facts["sub"] == f'X(SUB, "sub", 2, 1, 0, 0, 0, 0, CHAIN_SUB, CHAIN_SUB_REVERSED, {none})'
    assert facts["exp"] == f'X(EXP, "exp", 1, 12, 0, 0, 0, 0, CHAIN_EXP, {none}, {none})'
    assert facts["argmax"] == f'X(ARGMAX, "argmax", 2, 5, 1, 1, 0, 0, {none}, {none}, {none})'
    assert facts["cummax"] == f'X(CUMMAX, "cummax", 1, 5, 0, 0, 1, 0, {none}, {none}, {none})'


def test_scans_of_float32_that_round_are_carried_in_float64():
    text = header()
    assert "  X(CUMSUM, f32, float, double, (a + b), (0))" in text
    assert "  X(CUMMAX, f32, float, float, (gi_maximum_f32(a, b)), (-gi_inf_f32()))" in text
    assert "  X(CUMSUM, i8, int8_t, int8_t, " in text


def test_links_that_exchange_operands_or_have_one_operand_twice():
    text = header()
    assert "  X(SUB_REVERSED, f32, float, b, a, (a - b))" in text
    assert "  X(MUL_SELF, f64, double, (a * a))" in text


@pytest.mark.parametrize("text", [header(), device_header()], ids=["native", "device"])
def test_both_headers_have_limits_kinds_of_sections_and_error_bits(text):
    for name, value in (
        ("MAX_AXES", limits.MAX_AXES),
        ("MAX_SLOTS", limits.MAX_SLOTS),
        ("DIVISION_BY_ZERO", errors.DIVISION_BY_ZERO),
        ("SECTION_SCALAR", SectionKind.SCALAR.code),
    ):
        assert f"#define GI_{name} {value}\n" in text


def test_the_header_says_which_table_it_was_made_from(monkeypatch):
    before = checksum()
    assert f"#define GI_TABLE_CHECKSUM {before}u" in header()
    monkeypatch.setattr("gint.isa.generate.OPCODES", OPCODES[1:])
    assert checksum() != before


def test_the_command_writes_only_what_changed(tmp_path):
    out = tmp_path / "new" / "isa.h"
    assert main(["header", str(out)]) == 0
    before = out.stat().st_mtime_ns
    assert main(["header", str(out)]) == 0
    assert out.read_text() == header()
    assert out.stat().st_mtime_ns == before
    assert main(["nothing", str(out)]) == 2
