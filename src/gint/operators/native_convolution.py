"""Convolutions over two dimensions in channels-last memory, by the backend that runs the programs.

Knows the layouts that `gint.backend.protocol.DenseProducts` wants, and brings operands into them.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .arrays import empty_in_order, widened
from .launches import active
from .packing import packed
from .windows import Windows

_F32 = np.dtype("f4")
_CHANNELS_LAST = (0, 2, 3, 1)
#: With fewer channels than this a tap is a short piece, and a line of taps is taken as one.
_FEW_CHANNELS = 16


def convolved_by_backend(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, windows: Windows, y: np.ndarray
) -> bool:
    """y (batch, results, height, width), channels-last, <- the convolution; False where nothing
    was done. Groups are what x's channels are more than the weight's."""
    dense = active().dense
    if dense is None or windows.rank != 2 or y.dtype != _F32 or not x.size:
        return False
    groups, results = x.shape[1] // weight.shape[1], weight.shape[0]
    where = (windows.stride, windows.padding, windows.dilation)
    if groups > 1 and weight.shape[1] == 1:
        if results != groups:
            return False
        kernel = packed(weight, _taps_first)
        x = _channels_last(windows.padded(x, 2))
        return dense.convolve_channels(x, kernel, bias, y, windows.stride, windows.dilation)
    kernel = packed(weight, _channels_closest)
    if groups == 1 and weight.shape[1] < _FEW_CHANNELS and windows.dilation[1] == 1:
        x, kernel = _lines_as_channels(_channels_last(windows.padded(x, 2)), kernel, windows)
        where = ([windows.stride[0], 1], [0, 0], windows.dilation)
        return dense.convolve(x, kernel, bias, y, *where)
    return dense.convolve(_channels_last(x), kernel, bias, y, *where)


def _channels_last(x: np.ndarray) -> np.ndarray:
    if x.strides[1] == x.itemsize or x.shape[1] == 1:
        return x
    made = empty_in_order(x.shape, x.dtype, _CHANNELS_LAST)
    made[...] = x
    return made


def _channels_closest(weight: np.ndarray) -> np.ndarray:
    """The same, in channels-last memory without gaps."""
    last = widened(weight).transpose(_CHANNELS_LAST)
    return np.ascontiguousarray(last).transpose(0, 3, 1, 2)


def _taps_first(weight: np.ndarray) -> np.ndarray:
    """(height, width, results) of (results, 1, height, width)."""
    return np.ascontiguousarray(widened(weight)[:, 0].transpose(1, 2, 0))


def _lines_as_channels(
    x: np.ndarray, kernel: np.ndarray, windows: Windows
) -> tuple[np.ndarray, np.ndarray]:
    """A window's line of taps and channels, which lie side by side, as channels of one tap."""
    channels, (height, width) = x.shape[1], windows.kernel
    if x.strides[3] != channels * x.itemsize:
        x = np.ascontiguousarray(x.transpose(_CHANNELS_LAST)).transpose(0, 3, 1, 2)
    item = x.itemsize
    step = windows.stride[1] * channels * item
    lines = as_strided(
        x,
        (x.shape[0], width * channels, x.shape[2], windows.counts[1]),
        (x.strides[0], item, x.strides[2], step),
        writeable=False,
    )
    results, long = kernel.shape[0], width * channels
    kernels = as_strided(
        kernel, (results, long, height, 1), (height * long * item, item, long * item, item),
        writeable=False,
    )  # fmt: skip
    return lines, kernels
