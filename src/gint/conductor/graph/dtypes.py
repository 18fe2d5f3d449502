"""torch's dtypes in gint's words."""

from __future__ import annotations

import torch

from gint.host.tensors import TYPE_NAMES
from gint.isa import DType, dtype
from gint.isa.dtypes import Kind

_TO_GINT = {getattr(torch, theirs): dtype(ours) for theirs, ours in TYPE_NAMES.items()}


def dtype_of(t: torch.dtype) -> DType:
    """The data type for a torch dtype that is known to have one."""
    return _TO_GINT[t]


def gint_dtype(t: torch.dtype) -> DType | None:
    """The data type for a torch dtype, or None where there is none (complex, quantised, ...)."""
    return _TO_GINT.get(t)


def fitting(value: int | float | bool, t: DType) -> int | float | bool:
    """A Python number as torch's Scalar.to() makes it one of type `t`: truncated, then wrapped."""
    if t.kind is Kind.BOOL:
        return bool(value)
    if t.kind is Kind.FLOAT:
        return value
    bits = 8 * t.itemsize
    wrapped = int(value) % (1 << bits)
    is_negative = t.name != "u8" and wrapped >> (bits - 1)
    return wrapped - (1 << bits) if is_negative else wrapped
