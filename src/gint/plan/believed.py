"""Results of kernels that believe what they are given, as ATen calls them from functions that have
checked it: rules as in results.py, which refuse by ValueError what does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

Shape = tuple[int, ...]


class Shaped(Protocol):
    @property
    def shape(self) -> Sequence[int]: ...

    @property
    def dtype(self) -> Any: ...


def attended(query: Shaped, key: Shaped, value: Shaped, *_: Any, **__: Any) -> Shape:
    return (*query.shape[:-1], value.shape[-1])


def flash_attended(query: Shaped, key: Shaped, value: Shaped, *_: Any, **__: Any) -> Shape:
    """Of one batch, and heads that as many of the query's share, with elements of a row side by
    side."""
    batch, heads = query.shape[:2]
    if key.shape[0] != batch or key.shape[:3] != value.shape[:3] or heads % max(key.shape[1], 1):
        _fail(query, key, value)
    for t in (query, key, value):
        if t.shape[-1] > 1 and _strides(t)[-1] != 1:
            raise ValueError("elements of a row have to lie side by side")
    return attended(query, key, value)


#: In oneDNN's numbers of cells: an LSTM's is all that torch keeps whole.
_LSTM, _LSTM_GATES = 2, 4


def recurrent(
    input: Shaped, weight0: Shaped, weight1: Shaped, weight2: Shaped, weight3: Shaped, hx_: Shaped,
    cx_: Shaped, reverse: bool, batch_sizes: Sequence[int], mode: int, hidden_size: int, *_: Any,
) -> Shape:  # fmt: skip
    """One layer in one direction, whatever network it is of."""
    if mode != _LSTM or len(batch_sizes):
        raise ValueError("it is a layer of an LSTM, of sequences of one length")
    steps, batch, width = input.shape
    gates, given = _LSTM_GATES * hidden_size, (weight0, weight1, weight2, weight3, hx_, cx_)
    weights = ((gates, width), (gates, hidden_size), (gates,), (gates,))
    fit = [tuple(a.shape) == shape for a, shape in zip(given, weights, strict=False)]
    state = (batch, hidden_size)
    fit += [tuple(a.shape) in (state, (1, *state)) for a in (hx_, cx_)]
    if not all(fit):
        _fail(input, *given)
    if any(a.dtype != input.dtype for a in given):
        raise ValueError("its operands are of one type")
    if not all(map(_lies_in_order, (input, *given))):
        raise ValueError("its operands have to lie in order")
    return (steps, batch, hidden_size)


def transformed(self: Shaped, dim: Sequence[int], *_: Any, **__: Any) -> Shape:
    """Over dimensions that there are, each once."""
    rank = len(self.shape)
    if len(set(dim)) != len(dim) or not all(0 <= d < rank for d in dim):
        raise ValueError(f"dimensions from 0 to {rank - 1} are transformed once, not {list(dim)}")
    return tuple(self.shape)


def halved(self: Shaped, dim: Sequence[int], normalization: int, onesided: bool) -> Shape:
    shape = list(transformed(self, dim))
    if onesided:
        shape[dim[-1]] = shape[dim[-1]] // 2 + 1
    return tuple(shape)


def real(self: Shaped, dim: Sequence[int], normalization: int, last_dim_size: int) -> Shape:
    shape = list(transformed(self, dim))
    shape[dim[-1]] = last_dim_size
    return tuple(shape)


def _strides(t: Any) -> Sequence[int]:
    """In elements; arrays, whose operators read any, are as if they lay in order."""
    return t.stride() if hasattr(t, "stride") else _in_order(t.shape)


def _in_order(shape: Sequence[int]) -> Shape:
    return tuple([math.prod(shape[d + 1 :]) for d in range(len(shape))])


def _lies_in_order(t: Any) -> bool:
    pairs = zip(t.shape, _strides(t), _in_order(t.shape), strict=True)
    return 0 in t.shape or all(a == b for n, a, b in pairs if n > 1)


def _fail(*operands: Shaped) -> NoReturn:
    raise ValueError(f"the shapes {', '.join(str(tuple(a.shape)) for a in operands)} do not fit")
