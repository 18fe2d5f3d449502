"""Which products of a plan oneDNN computes, rather than the BLAS that torch is built with.

On AMD's processors MKL reaches half the speed of oneDNN's kernels from some rows on, which torch
has too, but calls for lower precisions alone. Such a product makes its own result: the steps lose
the memory that was allocated for it.

Knows plans. Does not know how a step is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from gint.plan import Allocate, Call, Plan, Release, Step, TensorType, Use, View
from gint.plan.contents import symbols_in, uses, values_of

from . import blas
from .runs import LINEAR
from .torch_shim import has_onednn

_MATRICES = ("aten.mm.default", "aten.addmm.default")
#: From so many rows, and so many multiplications, on.
_LEAST_ROWS, _LEAST_WORK = 16, 1 << 21


@lru_cache(maxsize=1)
def is_faster() -> bool:
    """Whether oneDNN's products are faster here: where MKL meets a processor of AMD's."""
    return blas.is_slow() and has_onednn()


def is_worth(rows: int, columns: int, depth: int) -> bool:
    """Whether a product is large enough for oneDNN to win back what it takes to begin."""
    return rows >= _LEAST_ROWS and rows * columns * depth >= _LEAST_WORK


def by_onednn(plan: Plan) -> Plan:
    """The plan, where oneDNN computes what it computes faster. A product that is one makes its
    result, which nothing has allocated."""
    if not is_faster() or not torch.backends.mkldnn.enabled:
        return plan
    return _Products(plan).changed()


class _Products:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        made = [s for s in plan.steps if isinstance(s, Allocate)]
        self.made = {s.value: s for s in made}
        self.views = {s.value: s for s in plan.steps if isinstance(s, View)}
        given = [*[x.type for x in plan.inputs], *[x.type for x in plan.constants]]
        self.types = {n: t for n, t in enumerate(given) if isinstance(t, TensorType)}
        self.types.update({s.value: s.type for s in made})
        values = [v for s in plan.steps for v in values_of(s)]
        self.count = max(values, default=0) + 1
        self.released: set[int] = set()

    def changed(self) -> Plan:
        chosen = {s.value for s in self.plan.steps if isinstance(s, Call) and self._is_chosen(s)}
        if not chosen:
            return self.plan
        steps: list[Step] = []
        for step in self.plan.steps:
            if isinstance(step, Release):
                self.released.update(step.values)
            if isinstance(step, Call) and step.value in chosen and step.into:
                steps += self._product(step)
            elif not (isinstance(step, Allocate) and step.value in chosen):
                steps.append(step)
        return replace(self.plan, steps=tuple(_without_unused_views(steps, self.plan.result)))

    def _is_chosen(self, step: Call) -> bool:
        made = self.made.get(step.value)
        if not step.into or made is None or step.operator not in _MATRICES or step.kwargs:
            return False
        layouts = [layout for a in step.args if (layout := self._layout(a))]
        if len(layouts) < len(step.args) or symbols_in((made.type.size, layouts)):
            return False
        sizes: list[Any] = [size for size, _ in layouts]
        rows, columns = sizes[-2][0], sizes[-1][1]
        return (
            made.device == "cpu"
            and made.type.dtype == "float32"
            and (made.type.size, made.type.strides) == ((rows, columns), (columns, 1))
            and (len(sizes) == 2 or sizes[0] == (columns,))
            and is_worth(rows, columns, sizes[-1][0])
        )

    def _layout(self, argument: object) -> tuple[tuple, tuple] | None:
        """The sizes and strides of a value, where they are known before the plan runs."""
        if not isinstance(argument, Use):
            return None
        known: Any = self.views.get(argument.value) or self.types.get(argument.value)
        return None if known is None else (known.size, known.strides)

    def _product(self, step: Call) -> list[Step]:
        """The product in oneDNN's terms: with the transpose of a matrix (columns, depth)."""
        *added, left, right = step.args
        size, strides = (tuple(reversed(x)) for x in self._layout(right))  # type: ignore[union-attr]
        bias = added[0] if added else None
        view = self.views.get(right.value)
        base = self.types.get(view.of) if view and view.of not in self.released else None
        if view and base and (base.size, base.strides, 0) == (size, strides, view.offset):
            return [Call(step.value, LINEAR, (left, Use(view.of), bias, "none", [], ""))]
        weight, self.count = self.count, self.count + 1
        return [
            View(weight, right.value, size, strides, 0),
            Call(step.value, LINEAR, (left, Use(weight), bias, "none", [], "")),
            Release((weight,)),
        ]


def _without_unused_views(steps: Sequence[Step], result: object) -> Iterator[Step]:
    used = set(uses(result))
    for step in steps:
        if not isinstance(step, (View, Release)):
            used |= set(values_of(step))
        elif isinstance(step, View):
            used.add(step.of)
    gone = {s.value for s in steps if isinstance(s, View)} - used
    for step in steps:
        if isinstance(step, Release) and gone.intersection(step.values):
            step = Release(tuple([v for v in step.values if v not in gone]))
        is_empty = isinstance(step, Release) and not step.values
        if not is_empty and not (isinstance(step, View) and step.value in gone):
            yield step
