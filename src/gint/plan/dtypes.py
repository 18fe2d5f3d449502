"""Element types by torch's names: their bytes, and what safetensors and slots call them; how
elements lie."""

from __future__ import annotations

from typing import NamedTuple

#: Sizes and strides, in elements.
Layout = tuple[tuple[int, ...], tuple[int, ...]]


class ElementType(NamedTuple):
    """`slot` is the type of the slots that hold it; of the parts of complex numbers, which
    view_as_real shows."""

    nbytes: int
    safetensors: str
    slot: str = ""


ELEMENT_TYPES = {
    "bool": ElementType(1, "BOOL", "bool"),
    "uint8": ElementType(1, "U8", "u8"), "int8": ElementType(1, "I8", "i8"),
    "int16": ElementType(2, "I16", "i16"), "uint16": ElementType(2, "U16"),
    "int32": ElementType(4, "I32", "i32"), "uint32": ElementType(4, "U32"),
    "int64": ElementType(8, "I64", "i64"), "uint64": ElementType(8, "U64"),
    "float16": ElementType(2, "F16", "f16"), "bfloat16": ElementType(2, "BF16", "bf16"),
    "float32": ElementType(4, "F32", "f32"), "float64": ElementType(8, "F64", "f64"),
    "complex64": ElementType(8, "C64", "f32"), "float8_e4m3fn": ElementType(1, "F8_E4M3"),
    "float8_e5m2": ElementType(1, "F8_E5M2"),
}  # fmt: skip


def span(size: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """The elements from the first of a tensor to its last; strides are not negative."""
    if 0 in size:
        return 0
    return 1 + sum((length - 1) * step for length, step in zip(size, strides, strict=True))
