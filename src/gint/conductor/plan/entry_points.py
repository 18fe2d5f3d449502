"""The quickest callable for an operator that is left whole.

torch's own bindings parse arguments two to four times as fast as an overload called through the
dispatcher's boxes (about 0.5 to 1.3 us a call). A binding picks the overload by its arguments, so
it is taken where there is nothing to pick.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

#: Operators of ours -> the function behind each, which needs no dispatcher.
DIRECT: dict[Any, Callable[..., Any]] = {}


@lru_cache(maxsize=4096)
def entry_point(target: Any) -> Callable[..., Any]:
    """What to call for a node's target: the same operator with the same arguments."""
    if not isinstance(target, torch._ops.OpOverload):
        return target
    if target in DIRECT:
        return DIRECT[target]
    return _binding(target) or target._op


def _binding(target: torch._ops.OpOverload) -> Callable[..., Any] | None:
    packet = target.overloadpacket
    others = [getattr(packet, n) for n in packet.overloads() if n != target._overloadname]
    if target.namespace != "aten" or any(_may_be_taken(o._schema, target._schema) for o in others):
        return None
    name = packet.__name__
    found = getattr(torch._C._VariableFunctions, name, None)
    return found or getattr(torch._C._nn, name, None)


def _may_be_taken(other: torch.FunctionSchema, wanted: torch.FunctionSchema) -> bool:
    """Whether a call of `wanted` may fit another overload, which needs nothing `wanted` lacks."""
    by_place = [a for a in wanted.arguments if not a.kwarg_only]
    by_name = {a.name for a in wanted.arguments}
    needed = [a for a in other.arguments if not a.has_default_value()]
    if len([a for a in needed if not a.kwarg_only]) > len(by_place):
        return False
    return all(a.name in by_name for a in needed if a.kwarg_only)
