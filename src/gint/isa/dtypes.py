"""The data types of slots and registers.

A *storage* type is what lies in memory; a register holds its *compute* type. Only the two
16-bit floats differ: load widens them to f32, store rounds them to nearest even.
"""

from __future__ import annotations

from enum import Enum

from gint.dataclass import frozen


class Kind(Enum):
    FLOAT = "float"
    INT = "int"
    BOOL = "bool"


@frozen
class DType:
    """One data type.

    `code` is its number in encoded programs, `numpy` the name of its NumPy dtype (bf16 has none of
    its own there and travels as its bits), `c` the C type of an element in memory, `unsigned` the
    C type in which its integer arithmetic wraps.
    """

    code: int
    name: str
    kind: Kind
    itemsize: int
    numpy: str
    c: str
    unsigned: str = ""
    compute_name: str = ""

    @property
    def compute(self) -> DType:
        """The type a register holds after a load of this type."""
        return _BY_NAME[self.compute_name or self.name]

    @property
    def is_storage_only(self) -> bool:
        return bool(self.compute_name)

    @property
    def int_range(self) -> tuple[int, int]:
        """The smallest and the largest value of an integer type or bool."""
        bits = 1 if self.kind is Kind.BOOL else 8 * self.itemsize
        if self.numpy.startswith("int"):
            return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        return 0, 2**bits - 1

    def __str__(self) -> str:
        return self.name


DTYPES: tuple[DType, ...] = (
    DType(0, "bool", Kind.BOOL, 1, "bool", "bool"),
    DType(1, "u8", Kind.INT, 1, "uint8", "uint8_t", "uint32_t"),
    DType(2, "i8", Kind.INT, 1, "int8", "int8_t", "uint32_t"),
    DType(3, "i16", Kind.INT, 2, "int16", "int16_t", "uint32_t"),
    DType(4, "i32", Kind.INT, 4, "int32", "int32_t", "uint32_t"),
    DType(5, "i64", Kind.INT, 8, "int64", "int64_t", "uint64_t"),
    DType(6, "f32", Kind.FLOAT, 4, "float32", "float"),
    DType(7, "f64", Kind.FLOAT, 8, "float64", "double"),
    DType(8, "f16", Kind.FLOAT, 2, "float16", "uint16_t", compute_name="f32"),
    DType(9, "bf16", Kind.FLOAT, 2, "uint16", "uint16_t", compute_name="f32"),
)

_BY_NAME = {t.name: t for t in DTYPES}

BOOL = ("bool",)
INT = tuple(t.name for t in DTYPES if t.kind is Kind.INT)
FLOAT = tuple(t.name for t in DTYPES if t.kind is Kind.FLOAT and not t.is_storage_only)
NUMBER = INT + FLOAT
COMPUTE = BOOL + NUMBER


def dtype(name: str | DType) -> DType:
    """The data type called `name`. Raises ValueError naming the known ones."""
    if isinstance(name, DType):
        return name
    try:
        return _BY_NAME[name]
    except KeyError:
        known = ", ".join(_BY_NAME)
        raise ValueError(f"There is no data type {name!r}. Known: {known}.") from None
