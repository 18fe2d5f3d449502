"""How a saved plan is called: the arguments and results of the function it was made from.

A tree is nested lists, tuples and dicts; its leaves are `Use(n)`, input or result number n of the
plan, and the constants (None, numbers, strings) that an argument had when the plan was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from gint.dataclass import frozen

from .model import Use

Tree = Any


@frozen
class Signature:
    """`args` are the positional arguments, with the `names` of their parameters ("" for one that
    has none); `kwargs` those given by name; `result` what the function returns."""

    args: tuple[Tree, ...]
    names: tuple[str, ...]
    kwargs: dict[str, Tree]
    result: Tree

    @cached_property
    def is_flat(self) -> bool:
        """Whether the positional arguments are the inputs, one by one."""
        return not self.kwargs and self.args == tuple(map(Use, range(len(self.args))))

    def inputs(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[int, Any]:
        """Input number -> what a call gives for it. Raises TypeError for another structure."""
        if len(args) > len(self.args):
            raise TypeError(f"It takes {len(self.args)} positional arguments, not {len(args)}.")
        known = [n for n in (*self.names, *self.kwargs) if n]
        if unknown := [name for name in kwargs if name not in known]:
            raise TypeError(
                f"It has no argument {unknown[0]!r}. It takes: {', '.join(known) or 'none'}."
            )
        found: dict[int, Any] = {}
        left = dict(kwargs)
        for n, tree in enumerate(self.args):
            name = self.names[n] or f"argument {n}"
            if n < len(args):
                _match(tree, args[n], name, found)
            elif name in left:
                _match(tree, left.pop(name), name, found)
            else:
                raise TypeError(f"The argument {name!r} is missing.")
        for name, tree in self.kwargs.items():
            if name not in left:
                raise TypeError(f"The argument {name!r} is missing.")
            _match(tree, left.pop(name), name, found)
        if left:
            raise TypeError(f"The argument {next(iter(left))!r} is given twice.")
        return found


def _match(tree: Tree, value: Any, where: str, found: dict[int, Any]) -> None:
    """Note in `found` what stands at the leaves. Raises TypeError."""
    if isinstance(tree, Use):
        found[tree.value] = value
    elif isinstance(tree, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(value) != len(tree):
            raise TypeError(
                f"{where} is a {type(tree).__name__} of {len(tree)}, not {_shown(value)}."
            )
        for n, (inner, x) in enumerate(zip(tree, value, strict=True)):
            _match(inner, x, f"{where}[{n}]", found)
    elif isinstance(tree, dict):
        if not isinstance(value, Mapping) or value.keys() != tree.keys():
            raise TypeError(f"{where} is a dict with {', '.join(tree)}, not {_shown(value)}.")
        for name, inner in tree.items():
            _match(inner, value[name], f"{where}[{name!r}]", found)
    elif type(value) is not type(tree) or value != tree:
        raise TypeError(
            f"{where} was {tree!r} when this was exported, and is part of it; it cannot be "
            f"{_shown(value)} now."
        )


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    is_plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value) if is_plain else f"a {type(value).__name__}"


def filled(tree: Tree, values: Sequence[Any]) -> Any:
    """The tree with `values` at its leaves."""
    if isinstance(tree, Use):
        return values[tree.value]
    if isinstance(tree, (list, tuple)):
        return type(tree)([filled(x, values) for x in tree])
    if isinstance(tree, dict):
        return {name: filled(x, values) for name, x in tree.items()}
    return tree
