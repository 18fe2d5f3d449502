"""From torch's trees of arguments and results to a saved plan's signature."""

from __future__ import annotations

from collections import namedtuple
from itertools import count
from typing import Any

from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.utils._pytree import TreeSpec

from gint.plan import Use
from gint.plan.signature import Signature


class TreeError(ValueError):
    """Arguments or results of a type that no file can say."""


def signature_of(exported: ExportedProgram) -> Signature:
    """How the exported function is called. Raises TreeError."""
    spec = exported.call_spec
    assert spec.in_spec is not None
    assert spec.out_spec is not None
    leaves = iter(_leaves(exported))
    args_spec, kwargs_spec = spec.in_spec.children()
    args = _tree(args_spec, leaves, "the arguments")
    kwargs = _tree(kwargs_spec, leaves, "the arguments")
    result = _tree(spec.out_spec, map(Use, count()), "the result")
    return Signature(tuple(args), _names(exported, len(args)), kwargs, result)


def _leaves(exported: ExportedProgram) -> list[Any]:
    """A leaf per argument: the input of the plan that it is, or the constant that it was."""
    found: list[Any] = []
    number = 0
    for spec in exported.graph_signature.input_specs:
        if spec.kind is not InputKind.USER_INPUT:
            continue
        if isinstance(spec.arg, ConstantArgument):
            found.append(spec.arg.value)
        else:
            found.append(Use(number))
            number += 1
    return found


def _tree(spec: TreeSpec, leaves: Any, where: str) -> Any:
    """The tree of a spec, with leaves taken in order."""
    if spec.is_leaf():
        return next(leaves)
    if spec.type is None:
        return None
    inner = [_tree(child, leaves, where) for child in spec.children()]
    if spec.type is list:
        return inner
    is_own = isinstance(spec.type, type) and issubclass(spec.type, tuple)  # torch.return_types
    if spec.type is namedtuple or is_own:  # as torch calls all named tuples
        return tuple(inner)
    keys = _keys(spec)
    if keys is None or len(keys) != len(inner):
        name = getattr(spec.type, "__name__", spec.type)
        raise TreeError(
            f"A {name} is part of {where}, which no file can hold. Pass and return tensors in "
            "lists, tuples and dicts whose keys are strings."
        )
    return dict(zip(keys, inner, strict=True))


def _keys(spec: TreeSpec) -> list[str] | None:
    """The keys of a dict, or of what torch takes apart as one (a ModelOutput)."""
    context = spec.context
    if isinstance(context, (list, tuple)) and all(isinstance(k, str) for k in context):
        return list(context)
    inner = context[0] if isinstance(context, (list, tuple)) and context else None
    if isinstance(inner, (list, tuple)) and all(isinstance(k, str) for k in inner):
        return list(inner)
    return None


def _names(exported: ExportedProgram, count: int) -> tuple[str, ...]:
    """The names of the positional arguments' parameters."""
    names = list(getattr(exported.module_call_graph[0].signature, "forward_arg_names", None) or ())
    return tuple([*names, *[""] * count][:count])
