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

from gint.plan import Named

from .copies import INTO
from .empty import also_of_none
from .layouts import write_strided
from .scatters import SCATTERS

#: Operators -> the function of ours that is called: those of ours need no dispatcher.
DIRECT: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.as_strided_scatter.default: write_strided,
}
#: Operators of ours that multiply rows of x with a matrix, given (x, bias, *which): from `which` to
#: the native product and its weights, or None where there is none.
ROW_PRODUCTS: dict[Any, Callable[..., tuple[Any, Any] | None]] = {}

#: Whose operators say truly what they write into and what they return.
_PURE = ("aten", "gint", "mkldnn")


def overload(name: str) -> torch._ops.OpOverload:
    """The operator called "aten.mm.default". Raises LookupError where this torch has none."""
    namespace, _, rest = name.partition(".")
    packet, _, last = rest.rpartition(".")
    try:
        return getattr(getattr(getattr(torch.ops, namespace), packet), last)
    except (AttributeError, RuntimeError):
        raise LookupError(f"torch {torch.__version__} has no operator {name}.") from None


def writing_into(name: str) -> Callable[..., Any]:
    """What writes the result of an operator into memory that it is given, as `out`."""
    own = SCATTERS.get(name) or INTO.get(name)
    return own or entry_point(overload(f"{name.rpartition('.')[0]}.out"))


#: What these return shows their argument's memory, which their schemas do not say.
_HIDDEN_VIEWS = frozenset(
    ("_unsafe_view", "unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk", "lift", "data")
)

#: What these return lies where their first argument lies, in a copy of all its storage.
_COPIES_OF_STORAGES = frozenset(
    ("slice_scatter", "select_scatter", "diagonal_scatter", "slice_inverse", "copy")
)


@lru_cache(maxsize=4096)
def only_reads(target: Any) -> bool:
    """Whether an operator only reads its arguments' elements, and returns nothing that shows them.

    Where in its storage an argument lies says nothing to it, as it does to `as_strided_scatter`;
    nor does it copy the storage whole, with all that others have there, as `slice_scatter` does.
    """
    if not isinstance(target, torch._ops.OpOverload) or target.namespace not in _PURE:
        return False
    name = target.overloadpacket.__name__
    if name.startswith("as_strided") or name in _HIDDEN_VIEWS or name in _COPIES_OF_STORAGES:
        return False
    schema = target._schema
    values = [*schema.arguments, *schema.returns]
    return not schema.is_mutable and not any(v.alias_info for v in values)


@lru_cache(maxsize=64)
def named_object(named: Named) -> Any:
    """torch's object for what a plan names. Raises LookupError for what it has not."""
    if named.kind == "device":
        return torch.device(named.name)
    found = getattr(torch, named.name, None)
    if not isinstance(found, getattr(torch, named.kind)):
        raise LookupError(f"torch {torch.__version__} has no {named.kind} {named.name!r}.")
    return found


@lru_cache(maxsize=4096)
def entry_point(target: Any) -> Callable[..., Any]:
    """What to call for a node's target: the same operator with the same arguments."""
    if not isinstance(target, torch._ops.OpOverload):
        return target
    if target in DIRECT:
        return DIRECT[target]
    return also_of_none(str(target), _binding(target) or target._op)


def _binding(target: torch._ops.OpOverload) -> Callable[..., Any] | None:
    packet = target.overloadpacket
    others = [getattr(packet, n) for n in packet.overloads() if n != target._overloadname]
    if target.namespace != "aten" or any(_may_be_taken(o._schema, target._schema) for o in others):
        return None
    # The default of a loss is the mean; torch's bindings read the word as 0, which is no reduction.
    if any(a.name == "reduction" and a.has_default_value() for a in target._schema.arguments):
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
