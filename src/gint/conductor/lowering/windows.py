"""Pooling, and windows as columns: each element of the result is made of a window of the source.

A window of few elements is unrolled: its elements are loads of the source at shifted positions,
which are combined one after the other. Where a window may leave the source, its positions are
computed, and a value that changes nothing stands for what is outside. Larger windows are left
whole.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator
from functools import reduce
from typing import Any

import torch
from torch import fx

from gint.dataclass import frozen
from gint.host.frontend import Scalar, Value
from gint.isa import DType, dtype
from gint.isa.dtypes import Kind

from ..graph.indexing import Index, NotAffineError, separate
from ..graph.nodes import Graph, TensorInfo, tensor_of
from ..graph.sizes import Key, key
from .emitter import Context
from .rules import lowered_where, lowers

aten = torch.ops.aten

_MAX = (aten.max_pool2d_with_indices.default, aten.max_pool3d_with_indices.default)
_AVERAGE = (aten.avg_pool2d.default, aten.avg_pool3d.default)
#: Floats have every integer below this.
_FLOAT_INTEGERS = 1 << 23
#: Elements of a window that are combined one by one.
_MOST_TAPS = 32


@frozen
class Window:
    """A window along one dimension of a source of `size` elements: those at `start + dilation *
    tap`, `stride` further for every one of `count` results."""

    size: Key
    count: Key
    kernel: int
    stride: int
    padding: int
    dilation: int

    def at(self, index: Index, tap: int) -> Index:
        """The position of an element of the window of the result at `index`."""
        return index.scaled(self.stride, tap * self.dilation - self.padding)

    def ends_by(self, size: Key) -> bool:
        """Whether every window is known to end at `size` or before."""
        if not isinstance(self.count, int) or not isinstance(size, int):
            return False
        last = (self.count - 1) * self.stride - self.padding + (self.kernel - 1) * self.dilation
        return last < size

    @property
    def is_inside(self) -> bool:
        return self.padding == 0 and self.ends_by(self.size)

    @property
    def overlaps(self) -> bool:
        return self.stride <= (self.kernel - 1) * self.dilation


def _numbers(c: fx.Node, position: int, name: str, rank: int, default: Any) -> list[int]:
    """An argument with a number per dimension, or one for all; an empty list is `default`."""
    given = c.args[position] if len(c.args) > position else c.kwargs.get(name, ())
    listed = list(given) if isinstance(given, (list, tuple)) else [given]
    if not listed:
        return default
    return listed * rank if len(listed) == 1 else listed


def _windows(node: fx.Node, is_max: bool) -> list[Window]:
    """The windows of a pooling operator, one per pooled dimension."""
    rank = 3 if "3d" in str(node.target) else 2
    source = tensor_of(node.args[0]).shape[-rank:]
    value = node.meta["val"]
    shape = tuple((value[0] if isinstance(value, (tuple, list)) else value).shape[-rank:])
    kernel = _numbers(node, 1, "kernel_size", rank, [])
    stride = _numbers(node, 2, "stride", rank, kernel)
    padding = _numbers(node, 3, "padding", rank, [0] * rank)
    dilation = _numbers(node, 4, "dilation", rank, [1] * rank) if is_max else [1] * rank
    return list(map(Window, source, map(key, shape), kernel, stride, padding, dilation))


@lowered_where(*_MAX)
def _unrolls_max(node: fx.Node, graph: Graph) -> bool:
    """Positions in channels-last memory are ATen's: it goes over each element once, for both."""
    places = [u for u in node.users if u.target is operator.getitem and u.args[1] == 1]
    by_channels = _is_channels_last(tensor_of(node.args[0]))
    return graph.device == "cpu" and _unroll(_windows(node, True)) and not (places and by_channels)


def _is_channels_last(source: TensorInfo) -> bool:
    """Whether neighbouring elements are those of channels, and there are several."""
    rank = 3 if len(source.shape) == 5 else 2
    channel = -1 - rank
    return len(source.shape) > rank and source.strides[channel] == 1 and source.shape[channel] != 1


@lowered_where(*_AVERAGE)
def _unrolls_average(node: fx.Node, graph: Graph) -> bool:
    is_half = tensor_of(node.args[0]).dtype.itemsize == 2
    is_refused = is_half and node.target is aten.avg_pool3d.default  # by eager
    return graph.device == "cpu" and not is_refused and _unroll(_windows(node, False))


def _unroll(windows: list[Window]) -> bool:
    """Whether windows are of few elements, and of numbers that are known."""
    known = all(isinstance(n, int) for w in windows for n in (w.kernel, w.stride, w.padding))
    return known and math.prod(w.kernel for w in windows) <= _MOST_TAPS


def _elements(c: Context, windows: list[Window], outside: Scalar) -> Iterator[Value]:
    """The elements of the windows at the context's map, row-major; `outside` for padding."""
    source, rank = c.op_node.args[0], len(windows)
    is_inside = all(w.is_inside for w in windows)
    in_memory = not is_inside or any(w.overlaps for w in windows)
    read = c.memory if in_memory else c.value
    for taps in itertools.product(*(range(w.kernel) for w in windows)):
        at = []
        for w, index, tap in zip(windows, c.map[-rank:], taps, strict=True):
            affine = w.at(index, tap)
            at.append(affine if w.is_inside else c.computed(c.position(affine), outside))
        yield read(source, (*c.map[:-rank], *at))


@lowers(*_MAX, uses=("amax",))
def _max_pool(c: Context) -> Value:
    windows = _windows(c.op_node, True)
    source = tensor_of(c.op_node.args[0]).dtype
    lowest = -float("inf") if source.is_floating_point else torch.iinfo(source).min
    elements = _elements(c, windows, lowest)
    if c.item == 0:
        # Of equal zeros the first one stays.
        return reduce(lambda most, x: c.builder.maximum(x, most), elements)
    return _largest_at(c, windows, elements, lowest)


def _largest_at(
    c: Context, windows: list[Window], elements: Iterator[Value], lowest: Scalar
) -> Value:
    """Where in the source the largest element lies: the first one, but the last NaN.

    What is carried is how far it lies from the beginning of the window. Where nothing is larger
    than the lowest number, it is the first element that is not padding.
    """
    b, most = c.builder, None
    offsets = [
        _row_major(c, [tap * w.dilation for w, tap in zip(windows, taps, strict=True)], windows)
        for taps in itertools.product(*(range(w.kernel) for w in windows))
    ]
    starts = [c.position(w.at(i, 0)) for w, i in zip(windows, c.map[-len(windows) :], strict=True)]
    firsts = [_first_inside(c, w, s) - s for w, s in zip(windows, starts, strict=True)]
    best = _row_major(c, firsts, windows)
    for x, offset in zip(elements, offsets, strict=True):
        most = b.const(lowest, x.type) if most is None else most
        better = x > most
        if x.type.kind is Kind.FLOAT:
            better = better | b.isnan(x)
        best, most = b.where(better, offset, best), b.maximum(x, most)
    return _row_major(c, starts, windows) + best


def _row_major(c: Context, positions: list[Any], windows: list[Window]) -> Value:
    value = c.builder.const(0, "i64")
    for position, w in zip(positions, windows, strict=True):
        value = value * c.emitter.size(w.size) + position
    return value


def _first_inside(c: Context, w: Window, start: Value) -> Value:
    """The position of the first element of a window that is not in front of the source."""
    if not w.padding:
        return start
    if w.dilation == 1:
        return c.builder.maximum(start, 0)
    first = start + (w.kernel - 1) * w.dilation
    for tap in reversed(range(w.kernel - 1)):
        position = start + tap * w.dilation
        first = c.builder.where(position >= 0, position, first)
    return first


@lowers(*_AVERAGE, uses=("sum",))
def _average_pool(c: Context) -> Value:
    windows = _windows(c.op_node, False)
    total, divisor = reduce(operator.add, _elements(c, windows, 0)), _divisor(c, windows)
    if c.dtype.kind is not Kind.FLOAT:
        return c.builder.emit("trunc_div", total, divisor)
    total = total + 0.0  # eager begins with a zero, which makes a sum of -0.0 a 0.0
    is_power_of_2 = isinstance(divisor, int) and divisor > 0 and not divisor & (divisor - 1)
    return total * (1 / divisor) if is_power_of_2 else total / divisor


def _divisor(c: Context, windows: list[Window]) -> Value | int:
    """By what the sum of a window is divided, as torch says: its elements, padding included or
    not, or the number given."""
    counts_padding, given = (
        c.argument(5, "count_include_pad", True),
        c.argument(6, "divisor_override"),
    )
    if given is not None:
        return given
    known, count = 1, None
    for w, index in zip(windows, c.map[-len(windows) :], strict=True):
        padding = w.padding if counts_padding else 0
        if (counts_padding or not w.padding) and w.ends_by(w.size + padding):
            known *= w.kernel
            continue
        b, work = c.builder, _counting_type(c, w)
        start = b.cast(c.position(w.at(index, 0)), work)
        end = b.minimum(start + w.kernel, b.cast(c.emitter.size(w.size + padding), work))
        first = start if counts_padding else b.maximum(start, 0)
        own = b.cast(end - first, c.dtype)
        count = own if count is None else count * own
    if count is None:
        return known
    return count if known == 1 else count * known


def _counting_type(c: Context, w: Window) -> DType:
    """Floats where they have the numbers of all positions: they stay in vector registers."""
    is_small = isinstance(w.size, int) and w.size < _FLOAT_INTEGERS
    return c.dtype if c.dtype.kind is Kind.FLOAT and is_small else dtype("i64")


@lowers(aten.im2col.default)
def _im2col(c: Context) -> Value:
    """Windows as columns: (batch, channels * taps, windows)."""
    source, *numbers = c.op_node.args
    shape = tensor_of(source).shape
    kernel, dilation, padding, stride = numbers
    extents, counts = c.emitter.domain.extents, []
    for d in range(2):
        reach = shape[d - 2] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1
        counts.append(reach // stride[d] + 1)
    rows = separate(c.map[-2], (shape[-3], *kernel), extents)
    columns = separate(c.map[-1], tuple(counts), extents)
    if rows is None or columns is None:
        raise NotAffineError
    at = []
    for d in range(2):
        w = Window(shape[d - 2], counts[d], kernel[d], stride[d], padding[d], dilation[d])
        of_tap, of_window = rows[1 + d].scaled(w.dilation, 0), w.at(columns[d], 0)
        terms = tuple(sorted((*of_tap.terms, *of_window.terms)))
        position = Index(of_tap.offset + of_window.offset, terms)
        at.append(position if w.is_inside else c.computed(c.position(position), 0))
    is_inside = all(i.computed is None for i in at)
    read = c.value if is_inside else c.memory
    return read(source, (*c.map[:-2], rows[0], *at))
