"""Convolutions in any number of dimensions: windows as rows of matrices, and a BLAS.

Windows are copied a slab of results at a time, so that the copy is still in the cache when the
product reads it; where a window is one element, or the rows lie so already, nothing is copied.
Where every channel has a kernel of its own, a program adds up the windows. Channels-last sources
give channels-last results, without transposing either.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from gint.host import memory
from gint.host.frontend import Builder

from .arrays import empty_in_order, per_dimension, same_type, widened
from .launches import compute
from .native_convolution import convolved_by_backend
from .packing import packed
from .products import add_scaled, multiply, product
from .registry import operator
from .windows import Windows

#: Elements of windows that are copied at a time: 1 MiB of float32.
_SLAB = 1 << 18


@operator("convolution")
def convolution(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool,
    output_padding: Sequence[int], groups: int,
) -> np.ndarray:  # fmt: skip
    """Convolution, or what is called a transposed one.

    input       (batch, channels, sizes...), or without the batch
    weight      (results, channels / groups, kernel...), or where it is transposed
                (channels, results / groups, kernel...)
    bias        (results,)

    Returns (batch, results, counts...), in channels-last memory where the input is. Raises
    TypeError for other than one type, ValueError for shapes that do not fit.
    """
    rank = weight.ndim - 2
    if input.ndim == rank + 1:
        batched = input[None]
        y = convolution(
            batched, weight, bias, stride, padding, dilation, transposed, output_padding, groups
        )
        return y[0]
    _check(input, weight, bias, transposed, groups)
    numbers = [per_dimension(n, rank) for n in (stride, padding, dilation, output_padding)]
    dtype, x = input.dtype, widened(input)
    is_last = is_channels_last(input) or (is_channels_last(weight) and 1 not in weight.shape[:2])
    convolve = _transposed if transposed else _convolved
    y = convolve(x, weight, numbers, groups, is_last, None if bias is None else widened(bias))
    return y.astype(dtype, copy=False)


@operator("_convolution")
def convolution_of_backend(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool,
    output_padding: Sequence[int], groups: int, benchmark: bool, deterministic: bool,
    cudnn_enabled: bool, allow_tf32: bool,
) -> np.ndarray:  # fmt: skip
    """`convolution`; the rest is for libraries that are not here."""
    return convolution(
        input, weight, bias, stride, padding, dilation, transposed, output_padding, groups
    )


@operator("_convolution.deprecated")
def convolution_of_old_backend(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool,
    output_padding: Sequence[int], groups: int, benchmark: bool, deterministic: bool,
    cudnn_enabled: bool,
) -> np.ndarray:  # fmt: skip
    """`convolution`; the rest is for libraries that are not here."""
    return convolution(
        input, weight, bias, stride, padding, dilation, transposed, output_padding, groups
    )


def is_channels_last(x: np.ndarray) -> bool:
    """Whether the channels of (batch, channels, sizes...) are what lies closest in memory."""
    if x.ndim < 4 or x.shape[1] == 1:
        return False
    order = (0, *range(2, x.ndim), 1)
    last = x.transpose(order)
    return (
        x.strides[1] == x.itemsize
        and all(a >= b for a, b in zip(last.strides, last.strides[1:], strict=False))
        and math.prod(x.shape[2:]) > 1
    )


def _check(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, transposed: bool, groups: int
) -> None:
    same_type("convolution", x, weight, *(() if bias is None else (bias,)))
    shapes = f"an input {x.shape}, a weight {weight.shape} and {groups} groups"
    channels = weight.shape[0] if transposed else weight.shape[1] * groups
    if groups < 1 or x.ndim != weight.ndim or x.shape[1] != channels or weight.shape[0] % groups:
        raise ValueError(f"A convolution cannot have {shapes}.")


# Convolution


def _convolved(
    x: np.ndarray, weight: np.ndarray, numbers: list[list[int]], groups: int, is_last: bool,
    bias: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    stride, padding, dilation, _ = numbers
    rank, results = weight.ndim - 2, weight.shape[0]
    windows = Windows.over(x.shape[2:], list(weight.shape[2:]), stride, padding, dilation)
    order = (0, *range(2, rank + 2), 1) if is_last else None
    y = empty_in_order((x.shape[0], results, *windows.counts), x.dtype, order)
    if not y.size:
        return y
    if 0 in weight.shape:
        y[...] = 0
        return _with_bias(y, bias)
    if is_last and convolved_by_backend(x, weight, bias, windows, y):
        return y
    x = windows.padded(x, 2)
    if groups > 1 and weight.shape[1] == 1:
        _each_channel(x, weight, windows, y)
        return _with_bias(y, bias)
    convolve = _by_rows if is_last else _by_columns
    per_group, each = weight.shape[1], results // groups
    for g in range(groups):
        part, own = slice(g * per_group, (g + 1) * per_group), slice(g * each, (g + 1) * each)
        one = (slice(None), slice(None)) if groups == 1 else (slice(None), part)
        kernel = weight if groups == 1 else weight[own]
        convolve(x[one], kernel, windows, y if groups == 1 else y[:, own])
    return _with_bias(y, bias)


def _with_bias(y: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    if bias is not None and y.size:
        add_scaled(np.moveaxis(y, 1, -1), bias)
    return y


def _by_rows(x: np.ndarray, weight: np.ndarray, windows: Windows, y: np.ndarray) -> None:
    """Channels last: a row of the matrix is a window, its channels side by side."""
    matrix = packed(weight, _channels_last_matrix)
    results = weight.shape[0]
    views = windows.views(np.moveaxis(x, 1, -1), 1)
    views = np.moveaxis(views, 1 + windows.rank, -1)  # (batch, counts..., kernel..., channels)
    result = np.moveaxis(y, 1, -1)
    width = matrix.shape[0]
    for here in _slabs(views, windows.rank, width):
        rows = _as_matrix(views[here], width)
        target = result[here]
        if target.flags.c_contiguous:
            multiply(rows, matrix, target.reshape(-1, results))
        else:
            target[...] = product(rows, matrix).reshape(target.shape)


def _channels_last_matrix(weight: np.ndarray) -> np.ndarray:
    """(kernel... * channels, results), of the type that is computed in."""
    last = np.moveaxis(widened(weight), 1, -1)
    if last.flags.c_contiguous:
        return last.reshape(len(last), -1).T
    return np.ascontiguousarray(np.moveaxis(last, 0, -1)).reshape(-1, len(last))


def _by_columns(x: np.ndarray, weight: np.ndarray, windows: Windows, y: np.ndarray) -> None:
    """Channels first: a column of the matrix is a window, and a row of the result a channel."""
    matrix = widened(weight).reshape(weight.shape[0], -1)
    views, width = windows.views(x, 2), matrix.shape[1]
    # (batch, counts..., channels, kernel...)
    views = np.moveaxis(views, 1, 1 + windows.rank)
    result = np.moveaxis(y, 1, 1 + windows.rank)
    by_taps = windows.stride[-1] == 1 and windows.counts[-1] >= windows.kernel[-1]
    for here in _slabs(views, windows.rank, width):
        part = views[here]
        count = math.prod(part.shape[: 1 + windows.rank])
        if by_taps:  # neighbouring windows are neighbours in memory
            taps = np.moveaxis(part, range(1 + windows.rank), range(-1 - windows.rank, 0))
            columns = _as_matrix(taps, count)
        else:
            columns = _as_matrix(part, width).T
        target = np.moveaxis(result[here], -1, 0)  # (results, batch, counts...)
        if target[0].flags.c_contiguous:
            multiply(matrix, columns, _rows_of(target, count))
        else:
            target[...] = product(matrix, columns).reshape(target.shape)


def _rows_of(target: np.ndarray, count: int) -> np.ndarray:
    """(results, count) of an array whose rows are contiguous, without a copy."""
    step = target.strides[0]
    return np.lib.stride_tricks.as_strided(
        target, (target.shape[0], count), (step, target.itemsize)
    )


def _as_matrix(views: np.ndarray, columns: int) -> np.ndarray:
    """Views as the rows of a matrix: themselves where they lie so, a copy elsewhere."""
    rows = views.size // columns
    reshaped = _without_copy(views, rows, columns)
    if reshaped is not None:
        return reshaped
    made = memory.empty((rows, columns), views.dtype)
    np.copyto(made.reshape(views.shape), views)
    return made


def _without_copy(views: np.ndarray, rows: int, columns: int) -> np.ndarray | None:
    try:
        return np.reshape(views, (rows, columns), copy=False)
    except (ValueError, TypeError):
        return None


def _slabs(views: np.ndarray, rank: int, width: int) -> list[tuple]:
    """Indices that cut (batch, counts...) into slabs of whole rows of windows."""
    batch, first = views.shape[0], views.shape[1]
    below = math.prod(views.shape[2 : 1 + rank])
    rows = max(1, _SLAB // max(1, below * width))
    if rows >= first:
        images = max(1, rows // first)
        return [(slice(n, n + images),) for n in range(0, batch, images)]
    starts = itertools.product(range(batch), range(0, first, rows))
    return [(slice(n, n + 1), slice(r, r + rows)) for n, r in starts]


# A kernel for every channel


def _each_channel(x: np.ndarray, weight: np.ndarray, windows: Windows, y: np.ndarray) -> None:
    """One program sums window times kernel; every channel has as many results as any."""
    channels, rank = x.shape[1], windows.rank
    each = weight.shape[0] // channels
    views = windows.views(x, 2)  # (batch, channels, counts..., kernel...)
    own = packed(weight, _kernels_last).reshape(channels, each, *windows.kernel)
    split = y.reshape(y.shape[0], channels, each, *windows.counts) if each > 1 else None
    for n in range(each):
        kernels = own[:, n].reshape(1, channels, *(1,) * rank, *windows.kernel)
        target = y if split is None else split[:, :, n]
        compute(_sum_of_windows, views, kernels, target, choices=(rank,))


def _kernels_last(weight: np.ndarray) -> np.ndarray:
    """(results, 1, kernel...), the results side by side in memory."""
    values = widened(weight)[:, 0]
    return np.ascontiguousarray(np.moveaxis(values, 0, -1)).transpose(
        (values.ndim - 1, *range(values.ndim - 1))
    )


def _sum_of_windows(b: Builder, lead: tuple[int, ...], types: tuple[str, ...], rank: int) -> None:
    taps = tuple(b.reduced(f"k{i}") for i in range(rank))
    axes = (*lead, *taps)
    product = b.input("x", types[0], *axes) * b.input("kernel", types[1], *axes)
    b.output("y", types[2], lead, b.sum(product))


# Transposed convolution


def _transposed(
    x: np.ndarray, weight: np.ndarray, numbers: list[list[int]], groups: int, is_last: bool,
    bias: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Every element of the input adds its multiple of the kernel to the result."""
    stride, padding, dilation, more = numbers
    kernel, rank = weight.shape[2:], weight.ndim - 2
    each, channels = weight.shape[1], x.shape[1] // groups
    full = [
        (n - 1) * s + d * (k - 1) + 1
        for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    sizes = [f + o - 2 * p for f, o, p in zip(full, more, padding, strict=True)]
    if any(n < 0 for n in sizes):
        raise ValueError(f"A transposed convolution of {x.shape} by {weight.shape} has no result.")
    batch, count = x.shape[0], math.prod(x.shape[2:])
    y = np.zeros((groups * each, batch, *(f + o for f, o in zip(full, more, strict=True))), x.dtype)
    rows = np.moveaxis(x, 1, 0).reshape(groups, channels, batch * count)
    matrices = widened(weight).reshape(groups, channels, each, *kernel)
    for g in range(groups if x.size else 0):
        part = y[g * each : (g + 1) * each]
        for tap in np.ndindex(*kernel):
            taken = product(matrices[(g, ..., *tap)].T, rows[g])
            at = tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, s, n in zip(tap, dilation, stride, x.shape[2:], strict=True)
            )
            part[(slice(None), slice(None), *at)] += taken.reshape(each, batch, *x.shape[2:])
    inside = tuple(slice(p, p + n) for p, n in zip(padding, sizes, strict=True))
    y = np.moveaxis(y[(slice(None), slice(None), *inside)], 0, 1)
    order = (0, *range(2, rank + 2), 1) if is_last else None
    result = empty_in_order(y.shape, y.dtype, order)
    result[...] = y
    return _with_bias(result, bias)
