"""What the operators share: element types, dimensions, and results in memory that is given.

Half types have no arithmetic of their own here: they are computed in float32 and rounded once.
bfloat16 is ml_dtypes' type, which NumPy arrays can hold; gint does not need that package, and a
plan with bfloat16 arrays can only come from where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gint.host import memory

_F32 = np.dtype("f4")
#: The memory formats, by their names in torch, as orders of dimensions.
_CHANNELS_LAST = {
    "torch.channels_last": (0, 2, 3, 1), "torch.channels_last_3d": (0, 2, 3, 4, 1),
}  # fmt: skip


def is_half(dtype: np.dtype) -> bool:
    """Whether an element type is float16 or bfloat16."""
    return dtype.name in ("float16", "bfloat16")


def is_floating(dtype: np.dtype) -> bool:
    """Whether an element type has fractions."""
    return dtype.kind == "f" or is_half(dtype)


def widened(a: np.ndarray) -> np.ndarray:
    """The array in a type that is computed in: float32 for the half types."""
    return a.astype(_F32) if is_half(a.dtype) else a


def computed_type(dtype: np.dtype) -> np.dtype:
    """The type that `widened` gives."""
    return _F32 if is_half(dtype) else dtype


def given(out: np.ndarray | None, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in the memory of `out`, or where that is None in a type of their own."""
    if out is None:
        return values.astype(dtype, copy=False)
    if out is not values:
        out[...] = values
    return out


def same_type(name: str, *arrays: np.ndarray) -> None:
    """Raises TypeError for operands of different types, which ATen does not mix either, and for
    what is no array: a plan may name the results of another operator, which are a list."""
    if not all(isinstance(a, (np.ndarray, np.generic)) for a in arrays):
        found = ", ".join(type(a).__name__ for a in arrays)
        raise TypeError(f"{name} takes arrays, not {found}.")
    if any(a.dtype != arrays[0].dtype for a in arrays):
        found = ", ".join(a.dtype.name for a in arrays)
        raise TypeError(f"{name} takes operands of one type, not of {found}.")


def dimension(dim: int, rank: int) -> int:
    """A dimension counted from the front; a number has one, of length 1. Raises IndexError."""
    rank = max(rank, 1)
    if not -rank <= dim < rank:
        raise IndexError(f"Dimension {dim} does not exist: there are {rank}.")
    return dim % rank


def per_dimension(numbers: int | Sequence[int], rank: int, empty: Sequence[int] = ()) -> list[int]:
    """A number for each of `rank` dimensions, where one may stand for all and none for `empty`."""
    listed = [numbers] if isinstance(numbers, int) else list(numbers)
    if not listed:
        return list(empty)
    return listed * rank if len(listed) == 1 else listed


def empty_in_order(
    shape: Sequence[int], dtype: np.dtype, order: Sequence[int] | None = None
) -> np.ndarray:
    """An uninitialised array whose dimensions lie in memory in an order, slowest first."""
    if order is None:
        return memory.empty(tuple(shape), dtype)
    made = memory.empty(tuple(shape[d] for d in order), dtype)
    return made.transpose(np.argsort(order))


def order_of(a: np.ndarray) -> list[int]:
    """The dimensions of an array as they lie in memory, slowest first."""
    return sorted(range(a.ndim), key=lambda d: (-abs(a.strides[d]), d))


def is_dense(a: np.ndarray) -> bool:
    """Whether an array fills its memory without gaps, in whatever order."""
    return bool(a.transpose(order_of(a)).flags.c_contiguous)


def empty_like(a: np.ndarray, dtype: np.dtype | None = None, format: Any = None) -> np.ndarray:
    """An uninitialised array of a memory format of torch's by its name; None preserves the order
    of dense arrays, as torch does."""
    dtype = a.dtype if dtype is None else dtype
    if format in _CHANNELS_LAST:
        order: Sequence[int] | None = _CHANNELS_LAST[format]
    elif format == "torch.contiguous_format":
        order = None
    else:
        order = order_of(a) if is_dense(a) or 0 not in a.strides else None
    return empty_in_order(a.shape, dtype, order)


def number_type(value: Any, dtype: np.dtype) -> Any:
    """A Python number as an element of a type, wrapped as C would."""
    if is_half(dtype) or dtype.kind in "fc":
        return dtype.type(value)
    return np.asarray(value).astype(dtype)[()]
