"""Copies, casts, memory without values, and checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import empty_in_order, empty_like, is_floating
from .registry import operator

_F32 = np.dtype("f4")


@operator("clone", "lift_fresh_copy")
def clone(self: np.ndarray, *, memory_format: str | None = None) -> np.ndarray:
    """A copy, in another memory format where one is named."""
    made = empty_like(self, format=memory_format)
    made[...] = self
    return made


@operator("contiguous")
def contiguous(self: np.ndarray, *, memory_format: str = "torch.contiguous_format") -> np.ndarray:
    """The array in a memory format: itself where it lies so."""
    made = empty_like(self, format=memory_format)
    if made.strides == self.strides:
        return self
    made[...] = self
    return made


@operator("_to_copy")
def to_copy(
    self: np.ndarray, *, dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None, non_blocking: bool = False, memory_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """A copy in another type. Floats beyond an integer type give what a C cast gives here."""
    made = empty_like(self, dtype, memory_format)
    put(made, self)
    return made


def put(target: np.ndarray, source: np.ndarray) -> None:
    """target <- source, cast without a warning."""
    with np.errstate(invalid="ignore", over="ignore"):
        np.copyto(target, source, casting="unsafe")


@operator("copy_")
def copy_(self: np.ndarray, src: np.ndarray, non_blocking: bool = False) -> np.ndarray:
    """Writes `src`, broadcast, into an array, which is the result."""
    if not self.flags.writeable:
        raise ValueError("The array that is written back into is read-only.")
    put(self, src)
    return self


@operator("copy_.Tensor", "copy_.int", "copy_.float")
def copy_number(self: np.ndarray, other: Any) -> np.ndarray:
    """`copy_` of a number, too."""
    return copy_(self, np.asarray(other))


@operator("empty.memory_format")
def empty(
    size: Sequence[int], *, dtype: np.dtype | None = None, layout: None = None,
    device: None = None, pin_memory: None = None, memory_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """Memory without values."""
    template = np.broadcast_to(np.empty((), dtype or _F32), tuple(size))
    return empty_like(template, format=memory_format or "torch.contiguous_format")


@operator("empty_like")
def empty_like_(
    self: np.ndarray, *, dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None, memory_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """Memory without values for an array like another."""
    return empty_like(self, dtype, memory_format)


@operator("empty_strided")
def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: np.dtype | None = None,
    layout: None = None, device: None = None, pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Memory without values, of these strides in elements."""
    dtype = dtype or _F32
    if 0 in size:
        return np.empty(tuple(size), dtype)
    span = 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    strides = tuple(s * dtype.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(np.empty(span, dtype), tuple(size), strides)


@operator("empty_permuted")
def empty_permuted(
    size: Sequence[int], physical_layout: Sequence[int], *, dtype: np.dtype | None = None,
    layout: None = None, device: None = None, pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Memory without values, whose dimensions lie in an order, slowest first."""
    return empty_in_order(size, dtype or _F32, physical_layout)


@operator("new_empty")
def new_empty(
    self: np.ndarray, size: Sequence[int], *, dtype: np.dtype | None = None, layout: None = None,
    device: None = None, pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Memory without values, of another's type."""
    return empty_in_order(size, dtype or self.dtype)


@operator("new_empty_strided")
def new_empty_strided(
    self: np.ndarray, size: Sequence[int], stride: Sequence[int], *, dtype: np.dtype | None = None,
    layout: None = None, device: None = None, pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """`empty_strided` of another's type."""
    return empty_strided(size, stride, dtype=dtype or self.dtype)


# Numbers and checks


@operator("_local_scalar_dense")
def local_scalar(self: np.ndarray) -> Any:
    """The one element of an array as a number of Python's."""
    if self.size != 1:
        raise RuntimeError(f"An array of shape {self.shape} is not one number.")
    return self.reshape(-1).astype(np.float64 if is_floating(self.dtype) else self.dtype)[0].item()


@operator("_assert_async")
def assert_true(self: np.ndarray) -> None:
    """Raises RuntimeError where the one element is 0."""
    assert_message(self, "an element is 0")


@operator("_assert_async.msg")
def assert_message(self: np.ndarray, assert_msg: str) -> None:
    """Raises RuntimeError with these words where the one element is 0."""
    if not self.reshape(-1)[0]:
        raise RuntimeError(f"An assertion of the model's failed: {assert_msg}")


@operator("_assert_scalar")
def assert_scalar(self: Any, assert_msg: str) -> None:
    """Raises RuntimeError with these words where a number is 0."""
    if not self:
        raise RuntimeError(f"An assertion of the model's failed: {assert_msg}")


@operator("_linalg_check_errors")
def assert_decomposed(info: np.ndarray, api_name: str, *, is_matrix: bool) -> None:
    """Raises RuntimeError where LAPACK could not decompose a matrix."""
    if np.any(info):
        raise RuntimeError(f"{api_name}: a matrix cannot be decomposed (LAPACK: {np.max(info)}).")


@operator("_assert_tensor_metadata")
def assert_metadata(
    a: np.ndarray, size: Sequence[int] | None = None, stride: Sequence[int] | None = None,
    dtype: np.dtype | None = None, *, device: None = None, layout: None = None,
) -> None:  # fmt: skip
    """Raises RuntimeError for an array of another shape or type; strides are our own business."""
    if size is not None and tuple(size) != a.shape:
        raise RuntimeError(f"The model expects the shape {tuple(size)}, not {a.shape}.")
    if dtype is not None and dtype != a.dtype:
        raise RuntimeError(f"The model expects {dtype}, not {a.dtype}.")


@operator("sym_constrain_range", "sym_constrain_range_for_size")
def constrain_range(size: int, *, min: int | None = None, max: int | None = None) -> None:
    """Raises RuntimeError for a number outside a range."""
    if (min is not None and size < min) or (max is not None and size > max):
        raise RuntimeError(f"The model expects a number from {min} to {max}, not {size}.")
