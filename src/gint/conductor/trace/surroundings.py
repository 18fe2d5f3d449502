"""What goes on around a compiled call that only torch's own operators take part in.

A plan computes numbers. Forward-mode tangents and fake tensors are carried along by operators.
Dynamo compiles anew for tensors of another class, and not wherever a dual level or a mode begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad


def why_eager(example_inputs: Iterable[Any]) -> str | None:
    """Why a graph called with these, here and now, is left to eager as it is; or None."""
    if forward_ad._current_level >= 0:
        return "it is called inside of a forward-mode dual level: tensors may have tangents"
    if any(isinstance(x, FakeTensor) for x in example_inputs):
        return "it is called with fake tensors, which have no values"
    return None
