"""One instruction: an opcode with its operands, 24 bytes wide in encoded programs."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .dtypes import DTYPES, DType, Kind
from .opcodes import OPCODES, Opcode

#: opcode, type, reserved, d, a, b, c, n (slot, parameter or axis), reserved, immediate (8 bytes)
_LAYOUT = struct.Struct("<HBBHHHHHH8s")
SIZE = _LAYOUT.size
#: A register field that is not used.
NONE = 0xFFFF
MAX_REGISTERS = NONE


@dataclass(frozen=True)
class Instruction:
    """An opcode with operands. Fields an opcode does not use are left at their defaults."""

    op: Opcode
    type: DType
    d: int = NONE
    a: int = NONE
    b: int = NONE
    c: int = NONE
    n: int = 0
    imm: int | float | bool = 0

    @property
    def reads(self) -> tuple[int, ...]:
        """The registers read, in order."""
        return (self.a, self.b, self.c)[: self.op.inputs]

    @property
    def writes(self) -> int | None:
        """The register written, or None for a store."""
        return None if self.d == NONE else self.d

    def encode(self) -> bytes:
        return _LAYOUT.pack(
            self.op.code, self.type.code, 0, self.d, self.a, self.b, self.c, self.n, 0,
            encode_immediate(self.type, self.imm),
        )  # fmt: skip


def encode_immediate(t: DType, value: int | float | bool) -> bytes:
    if t.kind is Kind.FLOAT:
        return struct.pack("<d", value)
    return struct.pack("<q", int(value))


def decode(data: bytes) -> tuple[Instruction, ...]:
    """Instructions from their encoding. Raises ValueError naming the first one that is no such."""
    if len(data) % SIZE:
        raise ValueError(f"{len(data)} bytes are not a whole number of {SIZE}-byte instructions.")
    return tuple(_decode_one(i, row) for i, row in enumerate(_LAYOUT.iter_unpack(data)))


def _decode_one(number: int, row: tuple) -> Instruction:
    code, type_code, pad, d, a, b, c, n, pad2, imm = row
    if code >= len(OPCODES):
        raise ValueError(f"Instruction {number}: there is no opcode number {code}.")
    if type_code >= len(DTYPES):
        raise ValueError(f"Instruction {number}: there is no data type number {type_code}.")
    if pad or pad2:
        raise ValueError(f"Instruction {number}: a reserved field is not zero.")
    t = DTYPES[type_code]
    value = struct.unpack("<d" if t.kind is Kind.FLOAT else "<q", imm)[0]
    return Instruction(OPCODES[code], t, d, a, b, c, n, bool(value) if t.name == "bool" else value)
