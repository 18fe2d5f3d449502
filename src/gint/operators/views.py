"""Views: other looks at an array's memory, where a plan takes them by ATen's operators."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided as strided

from .arrays import dimension
from .registry import operator


@operator("view", "_unsafe_view")
def view(self: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The elements in another shape, of which one size may be -1. Raises ValueError for a copy."""
    shape = list(size)
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape[shape.index(-1)] = self.size // known if known else 0
    try:
        return np.reshape(self, shape, copy=False)
    except ValueError as error:
        raise ValueError(f"An array of shape {self.shape} is no view of {shape}: {error}") from None


@operator("view.dtype")
def view_as(self: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The same bytes as elements of another type of that size."""
    return self.view(dtype)


@operator("permute")
def permute(self: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    """The dimensions in another order."""
    return self.transpose([dimension(d, self.ndim) for d in dims])


@operator("t")
def t(self: np.ndarray) -> np.ndarray:
    """A matrix with its two dimensions exchanged."""
    return self.T


@operator("transpose.int")
def transpose(self: np.ndarray, dim0: int, dim1: int) -> np.ndarray:
    """Two dimensions exchanged."""
    if not self.ndim:
        return self
    return self.swapaxes(dimension(dim0, self.ndim), dimension(dim1, self.ndim))


@operator("expand")
def expand(self: np.ndarray, size: Sequence[int], *, implicit: bool = False) -> np.ndarray:
    """Dimensions of length 1 repeated without a copy, and new ones in front; -1 keeps a length."""
    own = (1,) * (len(size) - self.ndim) + self.shape
    shape = tuple(n if wanted == -1 else wanted for n, wanted in zip(own, size, strict=True))
    return np.broadcast_to(self, shape)


@operator("slice.Tensor")
def slice_(
    self: np.ndarray, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> np.ndarray:  # fmt: skip
    """Every `step`th element along a dimension."""
    return self[(slice(None),) * dimension(dim, self.ndim) + (slice(start, end, step),)]


@operator("select.int")
def select(self: np.ndarray, dim: int, index: int) -> np.ndarray:
    """The elements at one position of a dimension. Raises IndexError for one that is outside."""
    return self[(slice(None),) * dimension(dim, self.ndim) + (index, ...)]


@operator("unsqueeze")
def unsqueeze(self: np.ndarray, dim: int) -> np.ndarray:
    """A new dimension of length 1."""
    return np.expand_dims(self, dimension(dim, self.ndim + 1))


@operator("squeeze")
def squeeze(self: np.ndarray) -> np.ndarray:
    """Without the dimensions of length 1."""
    return self.squeeze()


@operator("squeeze.dim")
def squeeze_one(self: np.ndarray, dim: int) -> np.ndarray:
    """Without a dimension, if its length is 1."""
    return squeeze_these(self, [dim])


@operator("squeeze.dims")
def squeeze_these(self: np.ndarray, dim: Sequence[int]) -> np.ndarray:
    """Without those of some dimensions whose length is 1."""
    dims = {dimension(d, self.ndim) for d in dim} if self.ndim else set()
    return self.squeeze(tuple(d for d in dims if self.shape[d] == 1))


@operator("alias", "detach", "lift_fresh")
def alias(self: np.ndarray) -> np.ndarray:
    """The same elements."""
    return self.view()


@operator("diagonal")
def diagonal(self: np.ndarray, offset: int = 0, dim1: int = 0, dim2: int = 1) -> np.ndarray:
    """The diagonal of two dimensions, as the last one."""
    return np.diagonal(self, offset, dimension(dim1, self.ndim), dimension(dim2, self.ndim))


@operator("as_strided")
def as_strided(
    self: np.ndarray, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> np.ndarray:
    """Elements of a dense array at strides from an offset. Raises ValueError for ones outside."""
    offset, flat = storage_offset or 0, _memory(self)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and (offset < 0 or last >= flat.size):
        raise ValueError(f"A view of {size} by {stride} at {offset} leaves {flat.size} elements.")
    steps = tuple(s * self.itemsize for s in stride)
    return strided(flat[min(offset, flat.size) :], tuple(size), steps)


def _memory(a: np.ndarray) -> np.ndarray:
    """The elements of a dense array as they lie in memory."""
    order = sorted(range(a.ndim), key=lambda d: -a.strides[d])
    dense = a.transpose(order)
    if not dense.flags.c_contiguous:
        raise ValueError(f"An array of shape {a.shape} and strides {a.strides} has gaps.")
    return dense.reshape(-1)


@operator("unfold")
def unfold(self: np.ndarray, dimension: int, size: int, step: int) -> np.ndarray:
    """Windows along a dimension; their elements are a new last one."""
    x = self if self.ndim else self.reshape(1)
    if not 0 <= size <= x.shape[dimension]:
        raise ValueError(f"A window of {size} does not fit into {x.shape[dimension]}.")
    axis = dimension % x.ndim
    count, between = (x.shape[axis] - size) // step + 1, x.strides[axis]
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :], size)
    steps = (*x.strides[:axis], between * step, *x.strides[axis + 1 :], between)
    windows = strided(x, shape, steps)
    return windows if self.ndim else windows[0]


@operator("split.Tensor")
def split(self: np.ndarray, split_size: int, dim: int = 0) -> list[np.ndarray]:
    """Pieces of a length along a dimension; the last one may be shorter."""
    dim = dimension(dim, self.ndim)
    length = self.shape[dim]
    starts = range(0, length, split_size) if length else range(1)
    return [self[(slice(None),) * dim + (slice(s, s + split_size),)] for s in starts]


@operator("split_with_sizes")
def split_with_sizes(self: np.ndarray, split_sizes: Sequence[int], dim: int = 0) -> list:
    """Pieces of these lengths along a dimension."""
    dim = dimension(dim, self.ndim)
    if sum(split_sizes) != self.shape[dim]:
        raise ValueError(f"Pieces of {list(split_sizes)} are not a dimension of {self.shape[dim]}.")
    return np.split(self, np.cumsum(split_sizes)[:-1].astype(int).tolist(), axis=dim)


@operator("unbind.int")
def unbind(self: np.ndarray, dim: int = 0) -> list[np.ndarray]:
    """The elements at every position of a dimension."""
    dim = dimension(dim, self.ndim)
    return [self[(slice(None),) * dim + (n, ...)] for n in range(self.shape[dim])]


@operator("view_as_real")
def view_as_real(self: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of their parts."""
    part = np.dtype(f"f{self.itemsize // 2}")
    return self[..., None].view(part)
