"""Tensors put together of pieces: joined and padded.

Of static sizes these are steps of a native run (`cpp/src/copies`): here an operator's arguments
become pieces, boxes of the result whose elements come from one source. Elsewhere ATen does it.

Knows plans' calls and the types of values. Does not know how runs are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import _disable_current_modes

from gint.plan import Call, Plan, TensorType, Use
from gint.plan.operators import COPIES

aten = torch.ops.aten

#: Of a dimension: extent, stride in the result and in the source, and the source's positions, with
#: None for what is filled; or None where they are the result's own.
Axis = tuple[int, int, int, list[int | None] | None]
#: The number of a source, offsets in the result and in the source, axes; all in elements.
Piece = tuple[int, int, int, tuple[Axis, ...]]


#: A pad's positions are listed one by one: ATen does longer ones.
_MOST_POSITIONS = 1 << 18


class _Layout(NamedTuple):
    """Numbers: of known sizes only."""

    size: tuple[int, ...]
    strides: tuple[int, ...]


class Copied(NamedTuple):
    """What a call copies: values, and pieces of them; `fill` is the bits of an element."""

    sources: list[int]
    pieces: list[Piece]
    element_bytes: int
    fill: int


def copied_in(plan: Plan, types: Mapping[int, TensorType]) -> dict[int, Copied]:
    """The calls of a plan that a native run copies by itself, by the `id` of the step."""
    found = {}
    for step in plan.steps:
        if isinstance(step, Call) and step.into and step.operator in COPIES:
            copied = _copied(step, types)
            if copied is not None:
                found[id(step)] = copied
    return found


def _copied(step: Call, types: Mapping[int, TensorType]) -> Copied | None:
    """A call as pieces; None where what is known of its values does not tell them."""
    name, first = str(step.operator), step.args[0]
    uses = first if isinstance(first, (list, tuple)) else [first]
    sources = [use.value for use in uses if isinstance(use, Use)]
    layouts = [_layout(types.get(value)) for value in (step.value, *sources)]
    known = [layout for layout in layouts if layout is not None]
    if step.kwargs or len(sources) < len(uses) or len(known) < len(layouts):
        return None
    if "pad" in name and max(known[0].size, default=0) > _MOST_POSITIONS:
        return None
    pieces = [*_PIECES[name](known[0], known[1:], step.args)]
    dtype = getattr(torch, types[step.value].dtype)
    fill = step.args[2] if name == _FILLING and len(step.args) > 2 else 0
    return Copied(sources, pieces, dtype.itemsize, _bits(fill, dtype))


def _layout(t: TensorType | None) -> _Layout | None:
    if t is None or not all(type(n) is int for n in (*t.size, *t.strides)):
        return None
    return _Layout(t.size, t.strides)  # type: ignore[arg-type]


def _bits(value: float, dtype: torch.dtype) -> int:
    with _disable_current_modes():  # where a graph is compiled, tensors are fake
        element = torch.tensor([value]).to(dtype).view(torch.uint8)
        return int.from_bytes(bytes(element.tolist()), "little")


def _box(
    number: int, out: _Layout, source: _Layout, at: Mapping[int, int] | None = None,
    steps: Mapping[int, int] | None = None,
) -> Piece:  # fmt: skip
    """All of a source, as a box of the result that begins at `at` along some dimensions, and goes
    on in `steps`."""
    begins, steps = at or {}, steps or {}
    offset = sum(start * out.strides[d] for d, start in begins.items())
    strides = [stride * steps.get(d, 1) for d, stride in enumerate(out.strides)]
    nothing = [None] * len(strides)
    return number, offset, 0, tuple(zip(source.size, strides, source.strides, nothing, strict=True))


# Joining


def _cat(out: _Layout, sources: Sequence[_Layout], args: Sequence[Any]) -> Iterator[Piece]:
    dim, start = (args[1] if len(args) > 1 else 0) % len(out.size), 0
    for number, source in enumerate(sources):
        if len(source.size) == len(out.size):  # others are vectors without elements
            yield _box(number, out, source, {dim: start})
            start += source.size[dim]


def _stack(out: _Layout, sources: Sequence[_Layout], args: Sequence[Any]) -> Iterator[Piece]:
    dim = (args[1] if len(args) > 1 else 0) % len(out.size)
    for number, source in enumerate(sources):
        yield _box(number, out, _unsqueezed(source, dim), {dim: number})


def _unsqueezed(source: _Layout, dim: int) -> _Layout:
    size, strides = source
    return _Layout((*size[:dim], 1, *size[dim:]), (*strides[:dim], 0, *strides[dim:]))


# Padding


def _padded(position: Callable[[int, int], int | None]) -> Callable[..., Iterator[Piece]]:
    """The piece of a pad: what `position` makes of a place, which may be outside, and a size."""

    def pieces(out: _Layout, sources: Sequence[_Layout], args: Sequence[Any]) -> Iterator[Piece]:
        (source,) = sources
        pads = {len(out.size) - 1 - k: n for k, n in enumerate(args[1][::2])}
        axes: list[Axis] = []
        for d, (length, size) in enumerate(zip(out.size, source.size, strict=True)):
            before = pads.get(d, 0)
            at = None
            if before or length != size:
                at = [position(i - before, size) for i in range(length)]
            axes.append((length, out.strides[d], source.strides[d], at))
        yield 0, 0, 0, tuple(axes)

    return pieces


def _constant(at: int, size: int) -> int | None:
    return at if 0 <= at < size else None


def _reflected(at: int, size: int) -> int:
    at = abs(at)
    return at if at < size else 2 * (size - 1) - at


def _replicated(at: int, size: int) -> int:
    return min(max(at, 0), size - 1)


def _circular(at: int, size: int) -> int:
    return at % size


_FILLING = "aten.constant_pad_nd.default"
_PIECES: dict[str, Callable[..., Iterator[Piece]]] = {
    "aten.cat.default": _cat,
    "aten.stack.default": _stack,
    _FILLING: _padded(_constant),
    **{f"aten.reflection_pad{n}d.default": _padded(_reflected) for n in (1, 2, 3)},
    **{f"aten.replication_pad{n}d.default": _padded(_replicated) for n in (1, 2, 3)},
    "aten._pad_circular.default": _padded(_circular),
}


# By ATen


def _circular_into(self: torch.Tensor, pad: Sequence[int], *, out: torch.Tensor) -> None:
    out.copy_(aten._pad_circular(self, pad))


#: Operators that have no way of ATen's to write into memory.
INTO: dict[str, Callable[..., None]] = {
    "aten._pad_circular.default": _circular_into,
}
