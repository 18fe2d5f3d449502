"""Reading and writing at positions that arrays hold.

Positions are checked before anything is read, as ATen does: what is outside raises IndexError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import dimension, empty_like, is_half, number_type, widened
from .registry import operator


def _inside(positions: np.ndarray, length: int, wraps: bool = False) -> np.ndarray:
    """Positions as NumPy indexes by them. Raises IndexError for one that is outside."""
    least = -length if wraps else 0
    if positions.size and (positions.min() < least or positions.max() >= length):
        outside = positions[(positions < least) | (positions >= length)].flat[0]
        raise IndexError(f"Position {outside} is outside a dimension of {length}.")
    return positions


@operator("embedding")
def embedding(
    weight: np.ndarray, indices: np.ndarray, padding_idx: int = -1,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> np.ndarray:  # fmt: skip
    """Rows of weight (count, size) at the indices: (*indices, size)."""
    return weight.take(_inside(indices, weight.shape[0]), axis=0)


@operator("index_select")
def index_select(self: np.ndarray, dim: int, index: np.ndarray) -> np.ndarray:
    """Slices along a dimension at the positions of a vector."""
    if not self.ndim:
        return self[None][_inside(index.reshape(-1), 1)].reshape(())
    dim = dimension(dim, self.ndim)
    return self.take(_inside(index.reshape(-1), self.shape[dim]), axis=dim)


@operator("take")
def take(self: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Elements at positions in row-major order."""
    return np.asarray(self.reshape(-1)[_inside(index, self.size, wraps=True)])


@operator("gather")
def gather(
    self: np.ndarray, dim: int, index: np.ndarray, *, sparse_grad: bool = False
) -> np.ndarray:
    """Elements at positions along a dimension, and elsewhere at the same place as in `index`."""
    if not index.size:
        return np.empty(index.shape, self.dtype)
    source, positions = _expanded(self, index)
    dim = dimension(dim, source.ndim)
    _inside(positions, source.shape[dim])
    return source[_places(positions, dim)].reshape(index.shape)


def _expanded(self: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arrays of which a number counts as a vector of one element."""
    return tuple(a.reshape(1) if a.ndim == 0 else a for a in (self, *others))


def _places(positions: np.ndarray, dim: int) -> tuple[Any, ...]:
    """An index that says `positions` along a dimension and the own place along the others."""
    places: list[Any] = list(np.ogrid[tuple(slice(n) for n in positions.shape)])
    places[dim] = positions
    return tuple(places)


# Indexing with several arrays


def _index(shape: tuple[int, ...], indices: Sequence[np.ndarray | None]) -> tuple[Any, ...]:
    """An index of NumPy's. Masks become positions; where arrays are apart from one another, their
    dimensions come first, as in NumPy and ATen."""
    index: list[Any] = []
    for i in indices:
        if i is None:
            index.append(slice(None))
        elif i.dtype in (np.bool_, np.uint8):
            at = len(index)
            if i.shape != shape[at : at + i.ndim]:
                raise IndexError(f"A mask of shape {i.shape} does not fit the shape {shape}.")
            if i.ndim:
                index.extend(np.nonzero(i))
            else:
                raise IndexError("A mask needs a dimension.")
        else:
            at = len(index)
            if at >= len(shape):
                raise IndexError(f"There are more indices than dimensions of {shape}.")
            index.append(_inside(i, shape[at], wraps=True))
    return tuple(index)


@operator("index.Tensor", "index.Tensor_hacked_twin", "_unsafe_index.Tensor",
          "_unsafe_index.Tensor_hacked_twin")  # fmt: skip
def index(self: np.ndarray, indices: Sequence[np.ndarray | None]) -> np.ndarray:
    """self[indices], where None is a whole dimension."""
    return np.asarray(self[_index(self.shape, indices)])


def _copied(self: np.ndarray) -> np.ndarray:
    made = empty_like(self)
    made[...] = self
    return made


@operator("index_put", "index_put.hacked_twin", "_unsafe_index_put",
          "_unsafe_index_put.hacked_twin")  # fmt: skip
def index_put(
    self: np.ndarray, indices: Sequence[np.ndarray | None], values: np.ndarray,
    accumulate: bool = False,
) -> np.ndarray:  # fmt: skip
    """A copy in which self[indices] = values, or += values, one after the other."""
    made, at = _copied(self), _index(self.shape, indices)
    if accumulate:
        _add_at(made, at, values)
    else:
        made[at] = values
    return made


def _add_at(made: np.ndarray, at: tuple[Any, ...], values: np.ndarray) -> None:
    if is_half(made.dtype):
        wide = widened(made)
        np.add.at(wide, at, widened(values))
        made[...] = wide
    elif made.dtype == np.bool_:
        np.logical_or.at(made, at, values)
    else:
        np.add.at(made, at, values)


@operator("masked_select")
def masked_select(self: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The elements where a mask is True, in row-major order of the common shape."""
    shape = np.broadcast_shapes(self.shape, mask.shape)
    return np.broadcast_to(self, shape)[np.broadcast_to(mask, shape)]


@operator("masked_scatter")
def masked_scatter(self: np.ndarray, mask: np.ndarray, source: np.ndarray) -> np.ndarray:
    """A copy in which the elements where a mask is True are those of `source`, in order."""
    shape = np.broadcast_shapes(self.shape, mask.shape)
    made = np.broadcast_to(self, shape).copy()
    where = np.broadcast_to(mask, shape)
    count = np.count_nonzero(where)
    if count > source.size:
        raise RuntimeError(f"The mask asks for {count} elements, and source has {source.size}.")
    made[where] = source.reshape(-1)[:count]
    return made


@operator("nonzero")
def nonzero(self: np.ndarray) -> np.ndarray:
    """The positions of what is not 0, a row each: (count, dimensions)."""
    if not self.ndim:
        return np.empty((int(self != 0), 0), np.int64)
    return np.argwhere(self)


# Writing along one dimension

_REDUCTIONS = {
    "add": np.add, "sum": np.add, "multiply": np.multiply, "prod": np.multiply, "mean": np.add,
    "amax": np.maximum, "amin": np.minimum,
}  # fmt: skip


@operator("scatter.src")
def scatter_src(self: np.ndarray, dim: int, index: np.ndarray, src: np.ndarray) -> np.ndarray:
    """A copy that holds, at positions along a dimension, the elements of `src`."""
    return _scatter(self, dim, index, src, None)


@operator("scatter.value")
def scatter_value(self: np.ndarray, dim: int, index: np.ndarray, value: Any) -> np.ndarray:
    """A copy that holds a number at positions along a dimension."""
    return _scatter(self, dim, index, value, None)


def _scatter(
    self: np.ndarray, dim: int, index: np.ndarray, src: Any, reduce: str | None,
    include_self: bool = True,
) -> np.ndarray:  # fmt: skip
    """A copy that holds, at positions along a dimension, the elements of `src`."""
    made = _copied(self)
    if not index.size:
        return made
    target, positions = _expanded(made, index)
    dim = dimension(dim, target.ndim)
    _inside(positions, target.shape[dim])
    if isinstance(src, np.ndarray):
        (src,) = _expanded(src)
        src = src[tuple(slice(n) for n in positions.shape)]
    at = _places(positions, dim)
    if reduce is None:
        target[at] = number_type(src, made.dtype) if not isinstance(src, np.ndarray) else src
    else:
        _reduce_at(target, at, src, reduce, include_self)
    return made


def _reduce_at(
    target: np.ndarray, at: tuple[Any, ...], src: Any, reduce: str, include_self: bool
) -> None:
    if reduce not in _REDUCTIONS:
        raise ValueError(f"scatter reduces by {', '.join(_REDUCTIONS)}, not by {reduce!r}.")
    fold, wide = _REDUCTIONS[reduce], widened(target)
    wide = wide if wide is not target else target
    values = widened(src) if isinstance(src, np.ndarray) else number_type(src, wide.dtype)
    if not include_self:
        wide[at] = _neutral(reduce, wide.dtype)
    if wide.dtype == np.bool_ and fold is np.add:
        fold = np.logical_or
    fold.at(wide, at, values)
    if reduce == "mean":
        counts = np.full(wide.shape, int(include_self), np.int64)
        np.add.at(counts, at, 1)
        counts = np.maximum(counts, 1)
        if wide.dtype.kind in "iub":
            np.floor_divide(wide, counts, out=wide, casting="unsafe")
        else:
            np.divide(wide, counts, out=wide, casting="unsafe")
    if wide is not target:
        target[...] = wide


def _neutral(reduce: str, dtype: np.dtype) -> Any:
    if reduce in ("amax", "amin"):
        sign = -1 if reduce == "amax" else 1
        if dtype.kind == "f":
            return dtype.type(sign * np.inf)
        if dtype.kind == "b":
            return sign > 0
        info = np.iinfo(dtype)
        return info.min if sign < 0 else info.max
    return dtype.type(1 if reduce in ("prod", "multiply") else 0)


@operator("scatter_add")
def scatter_add(self: np.ndarray, dim: int, index: np.ndarray, src: np.ndarray) -> np.ndarray:
    """A copy to which the elements of `src` are added at positions along a dimension."""
    return _scatter(self, dim, index, src, "add")


@operator("scatter.reduce")
def scatter_reduce_src(
    self: np.ndarray, dim: int, index: np.ndarray, src: np.ndarray, *, reduce: str
) -> np.ndarray:
    """`scatter` that adds or multiplies."""
    return _scatter(self, dim, index, src, reduce)


@operator("scatter.value_reduce")
def scatter_reduce_value(
    self: np.ndarray, dim: int, index: np.ndarray, value: Any, *, reduce: str
) -> np.ndarray:
    """`scatter` of a number that adds or multiplies."""
    return _scatter(self, dim, index, value, reduce)


@operator("scatter_reduce.two")
def scatter_reduce(
    self: np.ndarray, dim: int, index: np.ndarray, src: np.ndarray, reduce: str, *,
    include_self: bool = True,
) -> np.ndarray:  # fmt: skip
    """A copy that holds, at positions along a dimension, folds of the elements of `src`."""
    return _scatter(self, dim, index, src, reduce, include_self)


@operator("index_add")
def index_add(
    self: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray, *, alpha: Any = 1
) -> np.ndarray:
    """A copy to which slices of `source` are added at the positions of a vector."""
    made = _copied(self)
    target, source = _expanded(made, source)
    at = _slices(target, dim, index)
    values = widened(source)
    if alpha != 1:
        values = values * number_type(alpha, values.dtype)
    _add_at(target, at, values)
    return made


@operator("index_copy")
def index_copy(self: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    """A copy in which slices at the positions of a vector are those of `source`."""
    made = _copied(self)
    target, source = _expanded(made, source)
    target[_slices(target, dim, index)] = source
    return made


@operator("index_fill.int_Tensor", "index_fill.int_Scalar")
def index_fill(self: np.ndarray, dim: int, index: np.ndarray, value: Any) -> np.ndarray:
    """A copy in which slices at the positions of a vector are a number."""
    made = _copied(self)
    (target,) = _expanded(made)
    filling = value if isinstance(value, np.ndarray) else number_type(value, made.dtype)
    target[_slices(target, dim, index, wraps=True)] = filling
    return made


def _slices(
    target: np.ndarray, dim: int, index: np.ndarray, wraps: bool = False
) -> tuple[Any, ...]:
    dim = dimension(dim, target.ndim)
    return (slice(None),) * dim + (_inside(index.reshape(-1), target.shape[dim], wraps),)


# Bags of rows


@operator("_embedding_bag", "_embedding_bag_forward_only")
def embedding_bag(
    weight: np.ndarray, indices: np.ndarray, offsets: np.ndarray, scale_grad_by_freq: bool = False,
    mode: int = 0, sparse: bool = False, per_sample_weights: np.ndarray | None = None,
    include_last_offset: bool = False, padding_idx: int = -1,
) -> tuple[np.ndarray, None, None, None]:  # fmt: skip
    """Sums (mode 0), means (1) or largest elements (2) of bags of rows, which begin at `offsets`.

    What only gradients need is None.
    """
    ends = np.append(offsets, len(indices))[1:]
    starts = offsets[:-1] if include_last_offset else offsets
    ends = offsets[1:] if include_last_offset else ends
    padding = padding_idx + len(weight) if padding_idx < -1 else padding_idx
    _inside(indices, len(weight))
    made = np.zeros((len(starts), weight.shape[1]), widened(weight[:0]).dtype)
    for n, (start, end) in enumerate(zip(starts, ends, strict=True)):
        own = indices[start:end]
        kept = own != padding
        rows = widened(weight[own[kept]])
        if per_sample_weights is not None:
            rows = rows * widened(per_sample_weights[start:end][kept])[:, None]
        if len(rows):
            made[n] = (np.add.reduce, np.mean, np.maximum.reduce)[mode](rows, axis=0)
    return made.astype(weight.dtype, copy=False), None, None, None


# Losses by class


@operator("nll_loss_forward", "nll_loss2d_forward")
def nll_loss_forward(
    self: np.ndarray, target: np.ndarray, weight: np.ndarray | None, reduction: int,
    ignore_index: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The loss -weight[target] * self[target] of every row: as it is (0), in the mean (1), summed
    (2); and the sum of the weights. Classes are dimension 1 of (rows, classes, ...)."""
    batched = self.ndim > 1
    x = self if batched else self[None]
    target = target if batched else target.reshape(1)
    kept = target != ignore_index
    classes = np.where(kept, target, 0)
    _inside(classes, x.shape[1])
    chosen = (
        np.take_along_axis(widened(x), np.expand_dims(classes, 1), 1)[:, 0]
        if x.size
        else (np.zeros(target.shape, widened(x).dtype))
    )
    scale = np.ones((), chosen.dtype) if weight is None else widened(weight)[classes]
    scale = np.where(kept, scale, 0).astype(chosen.dtype)
    losses = np.where(kept, -chosen * scale, 0).astype(chosen.dtype)
    total = np.asarray(scale.sum() if reduction else 0).astype(self.dtype)
    if reduction == 0:
        return (losses if batched else losses.reshape(())).astype(self.dtype), total
    summed = losses.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        found = summed / scale.sum() if reduction == 1 else summed
    return np.asarray(found).astype(self.dtype), total
