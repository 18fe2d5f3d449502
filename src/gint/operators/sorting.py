"""Sorting, searching, and what is found by sorting.

NaN counts as larger than every number, as ATen and NumPy both have it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .arrays import dimension, is_floating, widened
from .registry import operator

_I64, _I32 = np.dtype("i8"), np.dtype("i4")


def _pick(self: np.ndarray, at: np.ndarray, dim: int) -> np.ndarray:
    return np.take_along_axis(self, at, dim)


def _order(self: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The positions in order along a dimension, equal ones in theirs."""
    keys = widened(self)
    if not descending:
        return np.argsort(keys, axis=dim, kind="stable")
    # The order of a mirror image, mirrored: equal elements change places twice.
    backwards = np.argsort(np.flip(keys, dim), axis=dim, kind="stable")
    return np.flip(self.shape[dim] - 1 - backwards, dim)


@operator("sort")
def sort(
    self: np.ndarray, dim: int = -1, descending: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The elements in order along a dimension, and where they were."""
    if not self.ndim:
        dimension(dim, 0)
        return self.copy(), np.zeros((), _I64)
    dim = dimension(dim, self.ndim)
    at = np.ascontiguousarray(_order(self, dim, descending), _I64)
    return _pick(self, at, dim), at


@operator("sort.stable")
def sort_stable(
    self: np.ndarray, *, stable: bool | None, dim: int = -1, descending: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """`sort`, which is stable anyway."""
    return sort(self, dim, descending)


@operator("argsort")
def argsort(self: np.ndarray, dim: int = -1, descending: bool = False) -> np.ndarray:
    """The positions of the elements in order along a dimension."""
    return sort(self, dim, descending)[1]


@operator("argsort.stable")
def argsort_stable(
    self: np.ndarray, *, stable: bool, dim: int = -1, descending: bool = False
) -> np.ndarray:
    """`argsort`, which is stable anyway."""
    return sort(self, dim, descending)[1]


@operator("topk")
def topk(
    self: np.ndarray, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest or smallest elements along a dimension, in order, and where they were."""
    x = self if self.ndim else self.reshape(1)
    dim = dimension(dim, x.ndim)
    if not 0 <= k <= x.shape[dim]:
        raise RuntimeError(f"There are no {k} elements in a dimension of {x.shape[dim]}.")
    at = _few(x, k, dim, largest) if 0 < k < x.shape[dim] // 4 else _order(x, dim, largest)
    at = np.ascontiguousarray(at[(slice(None),) * dim + (slice(k),)], _I64)
    values = _pick(x, at, dim)
    return (values, at) if self.ndim else (values.reshape(()), at.reshape(()))


def _few(x: np.ndarray, k: int, dim: int, largest: bool) -> np.ndarray:
    """`_order` of the first k alone, in a time that grows with the elements."""
    keys = widened(x)
    length = x.shape[dim]
    if largest:
        chosen = np.argpartition(keys, length - k, axis=dim)
        chosen = chosen[(slice(None),) * dim + (slice(length - k, None),)]
    else:
        chosen = np.argpartition(keys, k - 1, axis=dim)[(slice(None),) * dim + (slice(k),)]
    chosen = np.sort(chosen, axis=dim)
    return _pick(chosen, _order(_pick(keys, chosen, dim), dim, largest), dim)


@operator("kthvalue")
def kthvalue(
    self: np.ndarray, k: int, dim: int = -1, keepdim: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The kth smallest element along a dimension, from 1 on, and where it is."""
    x = self if self.ndim else self.reshape(1)
    dim = dimension(dim, x.ndim)
    if not 1 <= k <= x.shape[dim]:
        raise RuntimeError(f"There is no element number {k} in a dimension of {x.shape[dim]}.")
    at = _order(x, dim, False)[(slice(None),) * dim + (slice(k - 1, k),)]
    return _along(self, x, at, dim, keepdim)


def _along(
    self: np.ndarray, x: np.ndarray, at: np.ndarray, dim: int, keepdim: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The elements at one position along a dimension, which is kept or not."""
    values, at = _pick(x, at, dim), at.astype(_I64)
    shape = values.shape if keepdim else values.shape[:dim] + values.shape[dim + 1 :]
    shape = shape if self.ndim else ()
    return values.reshape(shape), at.reshape(shape)


@operator("median")
def median(self: np.ndarray) -> np.ndarray:
    """The element in the middle, of two the smaller one; NaN where there is one."""
    if not self.size:
        return np.full((), np.nan, self.dtype)
    keys = widened(self).reshape(-1)
    if is_floating(self.dtype) and np.isnan(keys).any():
        return np.full((), np.nan, self.dtype)
    middle = (keys.size - 1) // 2
    return np.asarray(np.partition(keys, middle)[middle], self.dtype)


@operator("median.dim")
def median_along(
    self: np.ndarray, dim: int, keepdim: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The element in the middle along a dimension, of two the smaller one, and where it is; the
    first NaN where there is one."""
    x = self if self.ndim else self.reshape(1)
    dim = dimension(dim, x.ndim)
    if not x.shape[dim]:
        raise IndexError("The median of an empty dimension is asked for.")
    order, middle = _order(x, dim, False), (x.shape[dim] - 1) // 2
    at = order[(slice(None),) * dim + (slice(middle, middle + 1),)]
    if is_floating(x.dtype):
        nan = np.isnan(widened(x))
        first = np.expand_dims(nan.argmax(dim), dim)
        at = np.where(nan.any(dim, keepdims=True), first, at)
    return _along(self, x, at, dim, keepdim)


@operator("mode")
def mode(self: np.ndarray, dim: int = -1, keepdim: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent element along a dimension, of several the smallest; where it is last."""
    x = self if self.ndim else self.reshape(1)
    dim = dimension(dim, x.ndim)
    if not x.shape[dim]:
        raise IndexError("The mode of an empty dimension is asked for.")
    rows = np.moveaxis(widened(x), dim, -1)
    flat = rows.reshape(-1, rows.shape[-1])
    at = np.array([_most_frequent(row) for row in flat], _I64)
    at = np.expand_dims(at.reshape(rows.shape[:-1]), dim)
    return _along(self, x, at, dim, keepdim)


def _most_frequent(row: np.ndarray) -> int:
    values, counts = np.unique(row, return_counts=True, equal_nan=False)
    value = values[counts.argmax()]
    return int(np.flatnonzero(row == value)[-1]) if value == value else 0


# Unique elements


@operator("_unique2")
def unique(
    self: np.ndarray, sorted: bool = True, return_inverse: bool = False,
    return_counts: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The different elements in order; which of them each element is; how often they occur."""
    none = np.empty(0, _I64)
    values, inverse, counts = np.unique(
        widened(self), return_inverse=True, return_counts=True, equal_nan=False
    )
    return (
        values.astype(self.dtype),
        inverse.reshape(self.shape).astype(_I64) if return_inverse else none,
        counts.astype(_I64) if return_counts else none,
    )


@operator("unique_consecutive")
def unique_consecutive(
    self: np.ndarray, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The elements, or slices along a dimension, that differ from the one before; which of them
    each one is; how often it follows itself."""
    none = np.empty(0, _I64)
    rows = self.reshape(-1) if dim is None else np.moveaxis(self, dimension(dim, self.ndim), 0)
    length = len(rows)
    changes = np.ones(length, np.bool_)
    if length > 1:
        changes[1:] = (rows[1:] != rows[:-1]).reshape(length - 1, -1).any(1)
    values = rows[changes]
    if dim is not None:
        values = np.moveaxis(values, 0, dim)
    inverse = np.cumsum(changes) - 1
    starts = np.append(np.flatnonzero(changes), length)
    shape = self.shape if dim is None else (length,)
    return (
        np.ascontiguousarray(values),
        inverse.reshape(shape).astype(_I64) if return_inverse or dim is not None else none,
        np.diff(starts).astype(_I64) if return_counts or dim is not None else none,
    )


# Searching


@operator("searchsorted.Tensor", "searchsorted.Scalar")
def searchsorted(
    sorted_sequence: np.ndarray, self: Any, *, out_int32: bool = False, right: bool = False,
    side: str | None = None, sorter: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Where elements would be put into sorted rows: in front of equal ones, or behind them."""
    behind = right or side == "right"
    rows, found = widened(sorted_sequence), np.asarray(self)
    if isinstance(self, np.ndarray):
        found = widened(self)
    elif found.dtype.kind == "f" and rows.dtype.kind == "f":
        found = found.astype(rows.dtype)
    if sorter is not None:
        rows = np.take_along_axis(rows, sorter, -1)
    dtype = _I32 if out_int32 else _I64
    how: Literal["left", "right"] = "right" if behind else "left"
    if rows.ndim == 1:
        return np.asarray(np.searchsorted(rows, found, how)).astype(dtype)
    flat = zip(rows.reshape(-1, rows.shape[-1]), found.reshape(-1, found.shape[-1]), strict=True)
    made = [np.searchsorted(row, x, how) for row, x in flat]
    return np.asarray(made, dtype).reshape(found.shape)


@operator("bucketize.Tensor", "bucketize.Scalar")
def bucketize(
    self: Any, boundaries: np.ndarray, *, out_int32: bool = False, right: bool = False
) -> np.ndarray:
    """`searchsorted` in one row, `boundaries`."""
    return searchsorted(boundaries, self, out_int32=out_int32, right=right)
