"""Which values of a run are memory alone: those of which nothing but their address is asked.

A tensor of torch's is an object and an allocation; after a product has driven torch's code and the
allocator's out of the caches it costs more than a row's arithmetic (docs/performance.md).

Knows a run's steps. Does not know how they are carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import TypeGuard

import torch

from gint.plan import Call, Expect, Foreign, Launch, Release, Step, TensorType, View
from gint.plan.contents import values_of

from .runs import Run

#: Larger results are allocated one by one: they are worth it.
_MOST_BYTES = 1 << 18
_LINE = 64
#: The bytes of a product's value.
_FLOAT = 4


class Addresses:
    """`offsets`: where results of row products lie in the call's own memory, in bytes; `behind`:
    views that are so many bytes behind what they are of.

    sizes  of the results of row products
    """

    def __init__(
        self, run: Run, sizes: Mapping[int, tuple[int, ...]], types: Mapping[int, TensorType]
    ) -> None:
        self._sizes = sizes
        outlived = _outlived(run.steps)
        self.behind = {
            step.value: nbytes
            for step in run.steps
            if isinstance(step, View) and step.value not in outlived
            if (nbytes := _bytes_behind(step, types)) is not None
        }
        tensors = self._tensors(run)
        self.behind = {view: n for view, n in self.behind.items() if view not in tensors}
        small = {v for v, size in sizes.items() if prod(size) * _FLOAT <= _MOST_BYTES}
        self.offsets = dict(_placed(run.steps, sizes, small - tensors))

    def is_expected(self, step: Expect) -> bool:
        """Whether a value has these strides by the way it is made, and nothing is to be done."""
        size = self._sizes.get(step.value)
        return size is not None and (step.type.size, step.type.strides) == (size, dense(size))

    def _tensors(self, run: Run) -> set[int]:
        """The values of which some step, or the caller, needs a tensor."""
        needed = set(run.outputs)
        for step in reversed(run.steps):
            if isinstance(step, View):
                if step.value in needed or step.value not in self.behind:
                    needed |= {step.value, step.of}
            elif isinstance(step, Expect) and self.is_expected(step):
                pass
            elif not (is_foreign(step) or isinstance(step, Release) or _is_launch(step)):
                needed.update(values_of(step))
        return needed


def is_foreign(step: Step) -> TypeGuard[Call]:
    """Of the calls that a run has, those that are no operator of torch's."""
    return isinstance(step, Call) and isinstance(step.operator, Foreign)


def _is_launch(step: Step) -> bool:
    """One that takes addresses, and never tensors."""
    return isinstance(step, Launch) and not step.on_copies


def _outlived(steps: Sequence[Step]) -> set[int]:
    """Views that are used when what they are of is gone, or may be: views of views."""
    last: dict[int, int] = {}
    gone: dict[int, int] = {}
    for n, step in enumerate(steps):
        if isinstance(step, Release):
            gone.update(dict.fromkeys(step.values, n))
        else:
            last.update(dict.fromkeys(values_of(step), n))
    views = {step.value: step.of for step in steps if isinstance(step, View)}
    return {v for v, of in views.items() if of in views or last[v] > gone.get(of, len(steps))}


def dense(size: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a tensor without gaps, as torch has them."""
    strides, stride = [], 1
    for length in reversed(size):
        strides.append(stride)
        stride *= max(length, 1)
    return tuple(reversed(strides))


def _bytes_behind(step: View, types: Mapping[int, TensorType]) -> int | None:
    kind = types.get(step.value)
    if kind is None or not isinstance(step.offset, int) or step.offset < 0:
        return None
    return step.offset * getattr(torch, kind.dtype).itemsize


def _placed(
    steps: Iterable[Step], sizes: Mapping[int, tuple], owned: set[int]
) -> Iterator[tuple[int, int]]:
    """A place for each, which another of the same size takes once it is released."""
    free: dict[int, list[int]] = {}
    places: dict[int, int] = {}
    end = 0
    for step in steps:
        if isinstance(step, Release):
            for value in step.values:
                if value in places:
                    free.setdefault(_bytes(sizes[value]), []).append(places[value])
        elif isinstance(step, Call) and step.value in owned:
            nbytes = _bytes(sizes[step.value])
            if spare := free.get(nbytes):
                places[step.value] = spare.pop()
            else:
                places[step.value], end = end, end + nbytes
            yield step.value, places[step.value]


def _bytes(size: tuple[int, ...]) -> int:
    return -(-prod(size) * _FLOAT // _LINE) * _LINE
