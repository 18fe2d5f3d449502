"""Running sums, products and extremes along a dimension."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import dimension, is_floating, widened
from .registry import operator

_I64 = np.dtype("i8")


def _accumulated(fold: np.ufunc, self: np.ndarray, dim: int, dtype: np.dtype | None) -> np.ndarray:
    """Folds of what comes up to each element; integers as int64, float32 by way of float64."""
    dim = dimension(dim, self.ndim)
    wanted = dtype or (self.dtype if self.dtype.kind not in "bui" else _I64)
    x = self.astype(wanted, copy=False)
    if not x.ndim:
        return x.copy()
    wide = np.float64 if is_floating(wanted) else wanted
    with np.errstate(over="ignore", invalid="ignore"):
        return fold.accumulate(x, axis=dim, dtype=wide).astype(wanted, copy=False)


@operator("cumsum")
def cumsum(self: np.ndarray, dim: int, *, dtype: np.dtype | None = None) -> np.ndarray:
    """Running sums along a dimension."""
    return _accumulated(np.add, self, dim, dtype)


@operator("cumprod")
def cumprod(self: np.ndarray, dim: int, *, dtype: np.dtype | None = None) -> np.ndarray:
    """Running products along a dimension."""
    return _accumulated(np.multiply, self, dim, dtype)


@operator("logcumsumexp")
def logcumsumexp(self: np.ndarray, dim: int) -> np.ndarray:
    """Logarithms of running sums of exponentials along a dimension."""
    dim = dimension(dim, self.ndim)
    if not self.ndim:
        return self.copy()
    with np.errstate(invalid="ignore"):
        found = np.logaddexp.accumulate(widened(self).astype(np.float64), axis=dim)
    return found.astype(self.dtype)


def _running(
    self: np.ndarray, dim: int, better: Callable[..., np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """What is best up to each element, and where the last such one is; a NaN stays."""
    dim = dimension(dim, self.ndim)
    if not self.ndim:
        return self.copy(), np.zeros((), _I64)
    rows = np.moveaxis(self, dim, 0)
    values, at = np.empty_like(rows), np.zeros(rows.shape, _I64)
    if len(rows):
        values[0] = rows[0]
    for n in range(1, len(rows)):
        before, x = values[n - 1], rows[n]
        takes = better(x, before)
        if is_floating(self.dtype):
            takes = (takes & (before == before)) | (x != x)
        values[n], at[n] = np.where(takes, x, before), np.where(takes, n, at[n - 1])
    return (
        np.ascontiguousarray(np.moveaxis(values, 0, dim)),
        np.ascontiguousarray(np.moveaxis(at, 0, dim)),
    )


@operator("cummax")
def cummax(self: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Running largest elements along a dimension, and where they are."""
    return _running(self, dim, np.greater_equal)


@operator("cummin")
def cummin(self: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Running smallest elements along a dimension, and where they are."""
    return _running(self, dim, np.less_equal)
