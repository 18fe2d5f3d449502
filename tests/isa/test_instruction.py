"""Encoding of instructions: 24 bytes there and back, damage is named."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.isa import DTYPES, OPCODES, Instruction, dtype, opcode
from gint.isa.instruction import SIZE, decode
from tests.strategies import constants

_FIELD = st.integers(0, 0xFFFF)


@st.composite
def instructions(draw):
    t = draw(st.sampled_from(DTYPES))
    imm = draw(constants(t.compute.name))
    fields = [draw(_FIELD) for _ in range(5)]
    return Instruction(draw(st.sampled_from(OPCODES)), t, *fields, imm)


@given(st.lists(instructions(), max_size=5))
def test_decode_inverts_encode(code):
    data = b"".join(i.encode() for i in code)
    assert len(data) == SIZE * len(code)
    assert decode(data) == tuple(code)


@given(st.binary(min_size=SIZE, max_size=SIZE))
def test_any_bytes_decode_to_what_encodes_to_them_or_are_refused(data):
    with suppress(ValueError):
        (instruction,) = decode(data)
        assert decode(instruction.encode()) == (instruction,)


def _damaged(position, value):
    data = bytearray(Instruction(opcode("const"), dtype("bool"), 0, imm=True).encode())
    data[position] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * (SIZE + 1), "25 bytes are not a whole number of 24-byte instructions"),
        (_damaged(1, 0xFF), "Instruction 0: there is no opcode number"),
        (_damaged(2, 0xFF), "Instruction 0: there is no data type number 255"),
        (_damaged(3, 1), "Instruction 0: a reserved field is not zero"),
        (_damaged(16, 7), "Instruction 0: The immediate 7 is no bool"),
    ],
    ids=("length", "opcode", "type", "reserved", "bool"),
)
def test_damage_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        decode(data)


@pytest.mark.parametrize(
    ("type_name", "value", "message"),
    [
        ("u8", 256, "256 does not fit u8"),
        ("i8", -129, "-129 does not fit i8"),
        ("i64", 2**63, "does not fit i64"),
        ("i32", 1.5, "1.5 is no i32"),
        ("bool", 2, "2 is no bool"),
        ("f32", "1", "'1' is no f32"),
        ("f64", 10**400, "too large"),
    ],
    ids=("u8", "i8", "i64", "i32", "bool", "f32", "f64"),
)
def test_immediates_that_are_no_value_of_the_type_are_errors(type_name, value, message):
    with pytest.raises(ValueError, match=message):
        Instruction(opcode("const"), dtype(type_name), 0, imm=value)


def test_equality_is_that_of_the_encoding():
    def const(value):
        return Instruction(opcode("const"), dtype("f64"), 0, imm=value)

    assert const(math.nan) == const(-math.nan)
    assert hash(const(math.nan)) == hash(const(-math.nan))
    assert const(0.0) != const(-0.0)
    assert const(1) == const(True) == const(1.0)
