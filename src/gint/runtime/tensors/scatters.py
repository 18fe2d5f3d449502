"""ATen's operators that write where positions say, by the native module.

In the order of the source, so that the result has the same bits for any number of threads; of
points that meet, the last counts where values are not combined. What a kernel does not do (other
types, masks, tensors on other devices) and what must raise (a position that is outside) is left to
ATen's own operator, with its own exception.

Knows tensors. Does not know plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import torch

from gint.plan.operators import WIDENING

from .torch_shim import native_with_torch

aten = torch.ops.aten

#: How a value is combined with what is there: the numbers of `Fold` in scatter_table.h.
SET, ADD, MULTIPLY, LARGEST, SMALLEST = range(5)
_FOLDS = {
    "sum": ADD, "add": ADD, "mean": ADD, "prod": MULTIPLY, "multiply": MULTIPLY,
    "amax": LARGEST, "amin": SMALLEST,
}  # fmt: skip
_HALF_TYPES = (torch.float16, torch.bfloat16)

#: Operators -> the functions that take their arguments, and write the result into `out`. That may
#: be the memory of `self`, and shares none with other arguments.
SCATTERS: dict[str, Callable[..., None]] = {}


class _RefusedError(Exception):
    """ATen has to do it."""


def _stands_for(*targets: torch._ops.OpOverload) -> Callable[[Callable], Callable]:
    def enter(function: Callable[..., None]) -> Callable[..., None]:
        for target in targets:
            SCATTERS[str(target)] = _or_aten(function, target)
        return function

    return enter


def _or_aten(function: Callable[..., None], target: Any) -> Callable[..., None]:
    widens = str(target) in WIDENING

    @wraps(function)
    def scatter(*args: Any, out: torch.Tensor, **kwargs: Any) -> None:
        try:
            if widens and out.dtype in _HALF_TYPES:
                raise _RefusedError
            function(*args, out=out, **kwargs)
        except _RefusedError:
            out.copy_(target(*args, **kwargs))

    return scatter


def _run(name: str, *args: Any) -> None:
    native = native_with_torch()
    if native is None or getattr(native, name)(*args):
        raise _RefusedError


_along = partial(_run, "scatter_along")
_slices = partial(_run, "scatter_slices")
_indices = partial(_run, "scatter_indices")


def _number(value: Any, like: torch.Tensor) -> torch.Tensor:
    return torch.full((), value, dtype=like.dtype)


# Slices at the positions of a vector


@_stands_for(aten.index_add.default)
def _index_add(
    self: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, *, alpha: Any = 1,
    out: torch.Tensor,
) -> None:  # fmt: skip
    _slices(ADD, out, self, dim, index, source if alpha == 1 else source * alpha, False)


@_stands_for(aten.index_copy.default)
def _index_copy(
    self: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, *, out: torch.Tensor
) -> None:
    _slices(SET, out, self, dim, index, source, False)


@_stands_for(aten.index_fill.int_Scalar, aten.index_fill.int_Tensor)
def _index_fill(
    self: torch.Tensor, dim: int, index: torch.Tensor, value: Any, *, out: torch.Tensor
) -> None:
    number = value.item() if isinstance(value, torch.Tensor) else value
    _slices(SET, out, self, dim, index, _number(number, self), True)


# Several tensors of positions


@_stands_for(aten.index_put.default, aten._unsafe_index_put.default)
def _index_put(
    self: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor,
    accumulate: bool = False, *, out: torch.Tensor,
) -> None:  # fmt: skip
    _indices(ADD if accumulate else SET, out, self, list(indices), values, True, None)


@_stands_for(aten.embedding_dense_backward.default)
def _embedding_dense_backward(
    grad_output: torch.Tensor, indices: torch.Tensor, num_weights: int, padding_idx: int,
    scale_grad_by_freq: bool, *, out: torch.Tensor,
) -> None:  # fmt: skip
    if scale_grad_by_freq or grad_output.shape[:-1] != indices.shape:
        raise _RefusedError
    _indices(ADD, out, None, [indices], grad_output, False, padding_idx)


# Elements along a dimension


@_stands_for(aten.scatter.src, aten.scatter.value)
def _scatter(
    self: torch.Tensor, dim: int, index: torch.Tensor, src: Any = None, *, value: Any = None,
    out: torch.Tensor,
) -> None:  # fmt: skip
    given = value if src is None else src
    source = given if isinstance(given, torch.Tensor) else _number(given, self)
    _along(SET, out, self, dim, index, source)


@_stands_for(aten.scatter_add.default)
def _scatter_add(
    self: torch.Tensor, dim: int, index: torch.Tensor, src: torch.Tensor, *, out: torch.Tensor
) -> None:
    _along(ADD, out, self, dim, index, src)


@_stands_for(aten.scatter.reduce, aten.scatter.value_reduce)
def _scatter_by(
    self: torch.Tensor, dim: int, index: torch.Tensor, src: Any, *, reduce: str, out: torch.Tensor
) -> None:
    source = src if isinstance(src, torch.Tensor) else _number(src, self)
    _scatter_reduce(self, dim, index, source, reduce, out=out)


@_stands_for(aten.scatter_reduce.two)
def _scatter_reduce(
    self: torch.Tensor, dim: int, index: torch.Tensor, src: torch.Tensor, reduce: str, *,
    include_self: bool = True, out: torch.Tensor,
) -> None:  # fmt: skip
    initial, fold = self, _FOLDS[reduce]
    if not include_self:
        _along(SET, out, self, dim, index, _number(_neutral(fold, out.dtype), out))
        initial = out
    _along(fold, out, initial, dim, index, src)
    if reduce == "mean":
        counts = torch.full_like(out, 1 if include_self else 0)
        _along(ADD, counts, counts, dim, index, _number(1, out))
        counts.masked_fill_(counts == 0, 1)
        out.div_(counts, rounding_mode=None if out.dtype.is_floating_point else "floor")


def _neutral(fold: int, dtype: torch.dtype) -> Any:
    if fold in (ADD, MULTIPLY):
        return int(fold == MULTIPLY)
    if dtype is torch.bool:
        return fold == SMALLEST
    if dtype.is_floating_point:
        return float("-inf") if fold == LARGEST else float("inf")
    limits = torch.iinfo(dtype)
    return limits.min if fold == LARGEST else limits.max
