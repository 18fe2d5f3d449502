"""One instruction: an opcode with its operands, 24 bytes wide in encoded programs."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from types import MappingProxyType

from gint.dataclass import frozen

from .dtypes import DTYPES, DType, Kind
from .opcodes import OPCODES, Opcode

#: The fields of an encoded instruction: name, and how `struct` has it. n is a slot, parameter or
#: axis; imm the bits of an f64 for float types, else of an i64; what is reserved is 0.
FIELDS = (
    ("op", "H"), ("type", "B"), ("reserved", "B"),
    ("d", "H"), ("a", "H"), ("b", "H"), ("c", "H"), ("n", "H"), ("reserved2", "H"), ("imm", "8s"),
)  # fmt: skip
_LAYOUT = struct.Struct("<" + "".join(form for _, form in FIELDS))
SIZE = _LAYOUT.size
#: A register field that is not used.
NONE = 0xFFFF
MAX_REGISTERS = NONE


@frozen(eq=False)
class Instruction:
    """An opcode with operands. Fields an opcode does not use are left at their defaults.

    Operands must fit 16 bits, the immediate its type (ValueError otherwise). Two instructions are
    equal if their encodings are: 0.0 and -0.0 differ, NaN is NaN.
    """

    op: Opcode
    type: DType
    d: int = NONE
    a: int = NONE
    b: int = NONE
    c: int = NONE
    n: int = 0
    imm: int | float | bool = 0

    def __post_init__(self) -> None:
        for value in (self.d, self.a, self.b, self.c, self.n):
            if not isinstance(value, int) or not 0 <= value <= NONE:
                raise ValueError(f"The operand {value!r} is not in the range 0 to {NONE - 1}.")
        object.__setattr__(self, "imm", immediate(self.type, self.imm))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instruction) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple:
        fields = (self.d, self.a, self.b, self.c, self.n)
        return (self.op.code, self.type.code, *fields, repr(self.imm))

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


def immediate(t: DType, value: object) -> int | float | bool:
    """`value` as an immediate of type `t`, every NaN as the same one. Raises ValueError."""
    if not isinstance(value, (int, float)) or (t.kind is not Kind.FLOAT and value != value // 1):
        raise ValueError(f"The immediate {value!r} is no {t}.")
    if t.kind is Kind.FLOAT:
        return _float(t, value)
    low, high = t.int_range
    if not low <= value <= high:
        reason = "is no bool" if t.kind is Kind.BOOL else f"does not fit {t}"
        raise ValueError(f"The immediate {value!r} {reason}; allowed: {low} to {high}.")
    return bool(value) if t.kind is Kind.BOOL else int(value)


def _float(t: DType, value: int | float) -> float:
    try:
        return math.nan if value != value else float(value)
    except OverflowError:
        raise ValueError(f"The immediate {value!r} is no {t}: it is too large.") from None


def encode_immediate(t: DType, value: int | float | bool) -> bytes:
    return struct.pack("<d" if t.kind is Kind.FLOAT else "<q", value)


def decode(
    data: bytes, opcodes: Mapping[int, Opcode] = MappingProxyType(dict(enumerate(OPCODES)))
) -> tuple[Instruction, ...]:
    """Instructions from their encoding. Raises ValueError naming the first one that is no such.

    `opcodes` is the numbering they were encoded with, this table's own if not given.
    """
    if len(data) % SIZE:
        raise ValueError(f"{len(data)} bytes are not a whole number of {SIZE}-byte instructions.")
    return tuple(_decode_one(i, row, opcodes) for i, row in enumerate(_LAYOUT.iter_unpack(data)))


def _decode_one(number: int, row: tuple, opcodes: Mapping[int, Opcode]) -> Instruction:
    code, type_code, pad, d, a, b, c, n, pad2, imm = row
    if code not in opcodes:
        raise ValueError(f"Instruction {number}: there is no opcode number {code}.")
    if type_code >= len(DTYPES):
        raise ValueError(f"Instruction {number}: there is no data type number {type_code}.")
    if pad or pad2:
        raise ValueError(f"Instruction {number}: a reserved field is not zero.")
    t = DTYPES[type_code]
    value = struct.unpack("<d" if t.kind is Kind.FLOAT else "<q", imm)[0]
    try:
        return Instruction(opcodes[code], t, d, a, b, c, n, value)
    except ValueError as error:
        raise ValueError(f"Instruction {number}: {error}") from None
