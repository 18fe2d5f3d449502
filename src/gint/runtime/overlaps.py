"""Arguments that share memory with one that is written into: a plan was made for others.

Knows values by what they say of themselves. Does not know plans.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .values import Values

#: Steps that NumPy may take to find out whether two layouts meet.
_MOST_WORK = 100_000


def overlap_check(
    names: Sequence[str], written: Sequence[bool], values: Values
) -> Callable[[Sequence[Any]], None]:
    """A function of the tensors called `names`, which raises ValueError where one that is
    `written` shares an element with another: what is computed would be other than without a plan.
    """

    def check(tensors: Sequence[Any]) -> None:
        reached = [(*values.reach(x), n) for n, x in enumerate(tensors)]
        spans = sorted((start, end, n) for start, end, n in reached if start < end)
        for at, (_, end, a) in enumerate(spans):
            for start, _, b in spans[at + 1 :]:
                if start >= end:
                    break
                if (written[a] or written[b]) and _meet(tensors[a], tensors[b], values):
                    first, second = (a, b) if written[a] else (b, a)
                    raise ValueError(
                        f"{names[first]} is written into, and {names[second]} lies in the same "
                        "memory: this was exported for arguments that lie apart. Give it a copy."
                    )

    return check


def _meet(a: Any, b: Any, values: Values) -> bool:
    """Whether two values have an element in common."""
    try:
        return np.shares_memory(_seen(a, values), _seen(b, values), _MOST_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _seen(x: Any, values: Values) -> np.ndarray:
    """An array over the memory of a value, whose bytes are not read."""
    first, last = values.reach(x)
    size, strides = values.size(x), values.strides(x)
    start = sum((k - 1) * -s for k, s in zip(size, strides, strict=True) if s < 0) * x.itemsize
    there = (ctypes.c_char * (last - first)).from_address(first)
    steps = [s * x.itemsize for s in strides]
    return np.ndarray(size, f"V{x.itemsize}", memoryview(there), start, steps)
