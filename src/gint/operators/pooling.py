"""Pooling: the largest, or the mean, of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .arrays import empty_in_order, is_floating, per_dimension, widened
from .convolution import is_channels_last
from .registry import operator
from .windows import Windows

Numbers = int | Sequence[int]


def _batched(x: np.ndarray, rank: int) -> np.ndarray:
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(f"Pooling takes {rank + 1} or {rank + 2} dimensions, not {x.shape}.")
    return x if x.ndim == rank + 2 else x[None]


def _like(x: np.ndarray, made: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A result in channels-last memory where the source is, and without a batch where it is."""
    order = (0, *range(2, x.ndim), 1) if is_channels_last(x) else None
    result = empty_in_order(made.shape, dtype, order)
    result[...] = made
    return result


def _max_pool(
    self: np.ndarray, rank: int, kernel_size: Numbers, stride: Numbers, padding: Numbers,
    dilation: Numbers, ceil_mode: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    x = _batched(self, rank)
    kernel = per_dimension(kernel_size, rank)
    windows = Windows.over(
        x.shape[2:], kernel, per_dimension(stride, rank, kernel), per_dimension(padding, rank),
        per_dimension(dilation, rank), ceil_mode,
    )  # fmt: skip
    wide = widened(x)
    lowest = -np.inf if is_floating(x.dtype) else np.iinfo(x.dtype).min
    # Of each padded element, where it is in the source; -1 is outside.
    places = np.arange(math.prod(x.shape[2:]), dtype=np.int64).reshape(1, 1, *x.shape[2:])
    at = windows.views(windows.padded(places, 2, -1), 2)
    views = windows.views(windows.padded(wide, 2, lowest), 2)
    values, indices = _first_largest(views, at, rank)
    found = _like(x, values, x.dtype), _like(x, indices, indices.dtype)
    return found if self.ndim == x.ndim else (found[0][0], found[1][0])


def _first_largest(
    views: np.ndarray, at: np.ndarray, rank: int
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The largest element of each window and its place: of equal ones the first, of several NaN
    the last, and padding where there is nothing else."""
    by_taps = [np.moveaxis(a, range(-rank, 0), range(rank)) for a in (views, at)]
    values = np.array(by_taps[0][(0,) * rank])
    indices = np.array(np.broadcast_to(by_taps[1][(0,) * rank], values.shape))
    for tap in np.ndindex(*views.shape[-rank:]):
        value, place = (a[tap] for a in by_taps)
        larger = value > values
        if is_floating(value.dtype):
            larger |= np.isnan(value)
        larger |= indices < 0
        larger &= place >= 0
        np.copyto(values, value, where=larger)
        np.copyto(indices, place, where=larger)
    return values, indices


@operator("max_pool2d_with_indices")
def max_pool2d(
    self: np.ndarray, kernel_size: Numbers, stride: Numbers = (), padding: Numbers = 0,
    dilation: Numbers = 1, ceil_mode: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The largest element of every window, and where it is in the source, row-major."""
    return _max_pool(self, 2, kernel_size, stride, padding, dilation, ceil_mode)


@operator("max_pool3d_with_indices")
def max_pool3d(
    self: np.ndarray, kernel_size: Numbers, stride: Numbers = (), padding: Numbers = 0,
    dilation: Numbers = 1, ceil_mode: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The largest element of every window, and where it is in the source, row-major."""
    return _max_pool(self, 3, kernel_size, stride, padding, dilation, ceil_mode)


def _avg_pool(
    self: np.ndarray, rank: int, kernel_size: Numbers, stride: Numbers, padding: Numbers,
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> np.ndarray:  # fmt: skip
    x = _batched(self, rank)
    kernel = per_dimension(kernel_size, rank)
    windows = Windows.over(
        x.shape[2:], kernel, per_dimension(stride, rank, kernel), per_dimension(padding, rank),
        [1] * rank, ceil_mode,
    )  # fmt: skip
    axes = tuple(range(-rank, 0))
    sums = windows.views(windows.padded(widened(x), 2), 2).sum(axes)
    if divisor_override is not None:
        divisor: np.ndarray | int = divisor_override
    else:
        divisor = _elements(windows, x.shape[2:], count_include_pad)
    if is_floating(x.dtype):
        made = sums / np.asarray(divisor, sums.dtype)
    else:
        made = np.trunc(sums / divisor)
    result = _like(x, made, x.dtype)
    return result if self.ndim == x.ndim else result[0]


def _elements(windows: Windows, sizes: Sequence[int], counts_padding: bool) -> np.ndarray:
    """How many elements each window has, with the padding or without, and never what is beyond."""
    found = np.ones((), np.int64)
    for n, (size, k, s, p, c) in enumerate(
        zip(sizes, windows.kernel, windows.stride, windows.padding, windows.counts, strict=True)
    ):
        start = np.arange(c) * s - p
        end = np.minimum(start + k, size + p)
        if not counts_padding:
            start, end = np.maximum(start, 0), np.minimum(end, size)
        found = found[..., None] * (end - start).reshape((1,) * n + (-1,))
    return found


@operator("avg_pool2d")
def avg_pool2d(
    self: np.ndarray, kernel_size: Numbers, stride: Numbers = (), padding: Numbers = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> np.ndarray:  # fmt: skip
    """The mean of every window."""
    return _avg_pool(
        self, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@operator("avg_pool3d")
def avg_pool3d(
    self: np.ndarray, kernel_size: Numbers, stride: Numbers = (), padding: Numbers = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> np.ndarray:  # fmt: skip
    """The mean of every window."""
    return _avg_pool(
        self, 3, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@operator("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")
def adaptive_avg_pool(self: np.ndarray, output_size: Sequence[int]) -> np.ndarray:
    """Means of as many parts along each of the last dimensions as `output_size` says.

    Part i of n goes from floor(i * size / n) to ceil((i + 1) * size / n).
    """
    rank = len(output_size)
    made = _batched(self, rank)
    x, first = made, made.ndim - rank
    made = widened(made)
    for axis, parts in enumerate(output_size, first):
        made = _means_of_parts(made, axis, parts)
    result = _like(x, made, x.dtype)
    return result if self.ndim == x.ndim else result[0]


def _means_of_parts(x: np.ndarray, axis: int, parts: int) -> np.ndarray:
    size = x.shape[axis]
    ends = [(i * size // parts, -(-(i + 1) * size // parts)) for i in range(parts)]
    before = (slice(None),) * axis
    means = [x[(*before, slice(a, b))].mean(axis, dtype=x.dtype) for a, b in ends]
    return np.stack(means, axis) if means else x[(*before, slice(0))]
