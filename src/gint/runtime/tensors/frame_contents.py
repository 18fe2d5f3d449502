"""What belongs to a frame of a plan: its runs, and the tensors that steps outside of runs use.

Knows placements and runs. Does not know what calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from gint.plan import Step, TensorType
from gint.plan.contents import values_of

from .copies import Copied
from .frames import tensor_in
from .layouts import reinterpret
from .native_runs import Bound, native_run
from .placement import Placement
from .runs import Run


class Known(NamedTuple):
    """What is known of a plan's values: their types, the dimensions in which some are joined,
    packed constants; what calls copy, by `id`; and whether results are compared with their types,
    as they are where a plan comes from a file."""

    types: Mapping[int, TensorType]
    joins: Mapping[int, int]
    packed: Mapping[int, Any]
    copied: Mapping[int, Copied]
    is_compared: bool = False


class Contents:
    """Called with a block it makes what belongs to a frame there: runs, then the tensors that are
    shown. `steps` is the native module's `RunSteps`."""

    def __init__(
        self,
        steps: Callable[..., Any],
        runs: Sequence[Run],
        bound: Mapping[int, Bound],
        placement: Placement,
        shown: Sequence[int],
        known: Known,
    ) -> None:
        self.steps, self.runs, self.bound = steps, runs, bound
        self.placement, self.shown, self.known = placement, shown, known

    def __call__(self, block: torch.Tensor) -> tuple[Any, ...]:
        tensors: dict[int, torch.Tensor] = {}
        for value, spot in self.placement.spots.items():
            kind = spot.type
            dtype = getattr(torch, kind.dtype)
            tensors[value] = tensor_in(block, spot.offset, kind.size, kind.strides, dtype)
        for value, view in self.placement.views.items():
            layout: Any = (view.size, view.strides, view.offset)
            tensors[value] = reinterpret(tensors[view.of], *layout)
        runs = [self.run(run, tensors) for run in self.runs]
        return (*runs, *[tensors[value] for value in self.shown])

    def run(self, run: Run, fixed: Mapping[int, torch.Tensor]) -> Callable[..., Any]:
        return native_run(self.steps, run, self.bound, fixed, *self.known)


def shown_in(items: Sequence[Step | Run], placement: Placement) -> list[int]:
    """What lies in a frame and is used outside of runs."""
    steps = [item for item in items if not isinstance(item, Run)]
    used = (v for step in steps for v in values_of(step) if placement.holds(v))
    return list(dict.fromkeys(used))
