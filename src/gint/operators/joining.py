"""Arrays made of others: joined, and with something around them or in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .arrays import (
    dimension,
    empty_in_order,
    empty_like,
    is_dense,
    is_floating,
    number_type,
    order_of,
)
from .registry import operator


def promoted(arrays: Sequence[np.ndarray]) -> np.dtype:
    """The type that arrays are joined in: those of most kinds, floats over integers, and of them
    tensors with dimensions over numbers."""
    if all(a.dtype == arrays[0].dtype for a in arrays):
        return arrays[0].dtype
    shaped = _common([a.dtype for a in arrays if a.ndim])
    numbers = _common([a.dtype for a in arrays if not a.ndim])
    if shaped is None or numbers is None:
        return shaped or numbers  # type: ignore[return-value]
    return shaped if _kind(shaped) >= _kind(numbers) else _common([shaped, numbers])  # type: ignore


def _kind(dtype: np.dtype) -> int:
    return 3 if dtype.kind == "c" else 2 if is_floating(dtype) else dtype.kind != "b"


def _common(dtypes: Sequence[np.dtype]) -> np.dtype | None:
    """As torch has it: of integers and floats the floats, of two half types float32."""
    found: np.dtype | None = None
    for t in dtypes:
        if found is None or found == t:
            found = t
        elif _kind(found) != _kind(t):
            low, high = sorted((found, t), key=_kind)
            both_wide = high.kind == "c" and low.name == "float64"
            found = np.dtype(np.complex128) if both_wide else high
        elif {found.name, t.name} == {"float16", "bfloat16"}:
            found = np.dtype(np.float32)
        elif _kind(found) == 2:
            found = max(found, t, key=lambda d: d.itemsize)
        else:
            found = np.result_type(found, t)
    return found


@operator("cat")
def cat(tensors: Sequence[np.ndarray], dim: int = 0) -> np.ndarray:
    """Arrays one behind the other along a dimension; empty vectors count as nothing."""
    if not tensors:
        raise ValueError("cat needs an array.")
    dtype = promoted(tensors)
    used = [t for t in tensors if t.shape != (0,)] or tensors[:1]
    dim = dimension(dim, used[0].ndim)
    shape = list(used[0].shape)
    shape[dim] = sum(t.shape[dim] for t in used)
    order = _common_order(used)
    made = empty_in_order(shape, dtype, order)
    start = 0
    for t in used:
        stop = start + t.shape[dim]
        where = (slice(None),) * dim + (slice(start, stop),)
        try:
            made[where] = t
        except ValueError:
            raise ValueError(
                f"cat joins shapes that agree outside dimension {dim}, not {shape} and {t.shape}."
            ) from None
        start = stop
    return made


def _common_order(arrays: Sequence[np.ndarray]) -> list[int] | None:
    """The order of dimensions in which all arrays lie, if it is one that torch names."""
    if arrays[0].ndim not in (4, 5) or not all(is_dense(a) for a in arrays):
        return None
    orders = {tuple(order_of(a)) for a in arrays}
    wanted = (0, *range(2, arrays[0].ndim), 1)
    return list(wanted) if orders == {wanted} else None


@operator("stack")
def stack(tensors: Sequence[np.ndarray], dim: int = 0) -> np.ndarray:
    """Arrays of one shape side by side along a new dimension."""
    if not tensors:
        raise ValueError("stack needs an array.")
    dtype = promoted(tensors)
    dim = dimension(dim, tensors[0].ndim + 1)
    return np.stack([t.astype(dtype, copy=False) for t in tensors], axis=dim)


def _around(pad: Sequence[int], rank: int) -> list[tuple[int, int]]:
    """What comes before and after each dimension; torch names the last one first."""
    if len(pad) % 2 or len(pad) > 2 * rank:
        raise ValueError(f"Padding is two numbers for each of at most {rank} dimensions: {pad}.")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (rank - len(pairs)) + pairs[::-1]


@operator("constant_pad_nd")
def constant_pad_nd(self: np.ndarray, pad: Sequence[int], value: Any = 0) -> np.ndarray:
    """The array with a number around it; a negative pad cuts off."""
    around = _around(pad, self.ndim)
    shape = [b + n + a for n, (b, a) in zip(self.shape, around, strict=True)]
    if any(n < 0 for n in shape):
        raise ValueError(f"The padding {list(pad)} cuts more off {self.shape} than there is.")
    order = order_of(self) if self.ndim in (4, 5) and is_dense(self) else None
    made = empty_in_order(shape, self.dtype, order)
    made[...] = number_type(value, self.dtype)
    cut = self[
        tuple(
            slice(max(0, -b), n - max(0, -a)) for n, (b, a) in zip(self.shape, around, strict=True)
        )
    ]
    starts = [max(0, before) for before, _ in around]
    made[tuple(slice(s, s + n) for s, n in zip(starts, cut.shape, strict=True))] = cut
    return made


def _padded(
    self: np.ndarray, padding: Sequence[int], mode: Literal["edge", "reflect", "wrap"]
) -> np.ndarray:
    """The array with its own elements around it: `mode` is one of numpy.pad's.

    A negative padding cuts off, after the positive one has been added.
    """
    rank = len(padding) // 2
    if self.ndim not in (rank + 1, rank + 2):
        raise ValueError(f"The padding {list(padding)} does not fit the shape {self.shape}.")
    around = _around(padding, self.ndim)
    for n, pair in zip(self.shape, around, strict=True):
        if mode == "reflect" and max(pair) >= n and max(pair) > 0:
            raise ValueError(f"A reflection is shorter than the dimension: {pair} of {n}.")
    positive = [(max(0, b), max(0, a)) for b, a in around]
    made = (
        np.pad(self, positive, mode=mode)
        if self.size
        else np.empty(
            [b + n + a for n, (b, a) in zip(self.shape, positive, strict=True)], self.dtype
        )
    )
    cut = tuple(
        slice(max(0, -b), n - max(0, -a)) for n, (b, a) in zip(made.shape, around, strict=True)
    )
    return np.ascontiguousarray(made[cut])


@operator("reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
def reflection_pad(self: np.ndarray, padding: Sequence[int]) -> np.ndarray:
    """The array with its mirror image around it, without the elements at the edge."""
    return _padded(self, padding, "reflect")


@operator("replication_pad1d", "replication_pad2d", "replication_pad3d")
def replication_pad(self: np.ndarray, padding: Sequence[int]) -> np.ndarray:
    """The array with the elements at its edge around it."""
    return _padded(self, padding, "edge")


@operator("_pad_circular")
def circular_pad(self: np.ndarray, pad: Sequence[int]) -> np.ndarray:
    """The array with itself around it."""
    return _padded(self, pad, "wrap")


@operator("slice_scatter")
def slice_scatter(
    self: np.ndarray, src: np.ndarray, dim: int = 0, start: int | None = None,
    end: int | None = None, step: int = 1,
) -> np.ndarray:  # fmt: skip
    """A copy in which a slice is `src`."""
    made = empty_like(self)
    made[...] = self
    dim = dimension(dim, self.ndim)
    length = self.shape[dim]
    first, last = (_within(n, length, d) for n, d in ((start, 0), (end, length)))
    made[(slice(None),) * dim + (slice(first, max(first, last), step),)] = src
    return made


def _within(position: int | None, length: int, default: int) -> int:
    if position is None:
        return default
    return min(length, max(0, position + length if position < 0 else position))


@operator("select_scatter")
def select_scatter(self: np.ndarray, src: np.ndarray, dim: int, index: int) -> np.ndarray:
    """A copy in which the elements at one position of a dimension are `src`."""
    made = empty_like(self)
    made[...] = self
    dim = dimension(dim, self.ndim)
    if not -self.shape[dim] <= index < self.shape[dim]:
        raise IndexError(f"Position {index} is outside a dimension of {self.shape[dim]}.")
    made[(slice(None),) * dim + (index,)] = src
    return made
