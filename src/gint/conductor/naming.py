"""The names that the user gave to free sizes (`torch.export.Dim("batch")`), for a saved plan.

torch.export calls a size s77. Knows torch.export's ways to write dynamic shapes, and plans.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from gint.plan import Define, Plan, Symbol, TensorType, Use
from gint.plan.contents import symbols_in
from gint.plan.signature import Signature, Tree
from gint.plan.verifier import is_size_name


def names_of(plan: Plan, signature: Signature, dynamic_shapes: Any) -> dict[str, str]:
    """Symbol -> the user's name, of every symbol that has one such name, and alone has it."""
    given: dict[str, set[str]] = defaultdict(set)
    for n, d, dim in _dims(signature, dynamic_shapes):
        t = plan.inputs[n].type
        size = t.size[d] if isinstance(t, TensorType) and d < len(t.size) else None
        root = getattr(dim, "root", None)  # that of 2 * n is n
        if isinstance(size, Symbol) or root is not None:
            for symbol in symbols_in(size):
                given[symbol].add((root or dim).__name__)
    names = {symbol: next(iter(found)) for symbol, found in given.items() if len(found) == 1}
    others = {s.symbol for s in plan.steps if isinstance(s, Define)} - names.keys()
    taken = [*names.values(), *others]
    return {
        symbol: name
        for symbol, name in names.items()
        if is_size_name(name) and taken.count(name) == 1
    }


def _dims(signature: Signature, shapes: Any) -> Iterator[tuple[int, int, Any]]:
    """An input's number, a dimension of it and its torch.export.Dim, for each that has one."""
    trees = [*zip(signature.names, signature.args, strict=True), *signature.kwargs.items()]
    if isinstance(shapes, Mapping):
        for name, tree in trees:
            yield from _of_tree(tree, shapes.get(name))
    elif isinstance(shapes, (list, tuple)):
        for (_, tree), shape in zip(trees, shapes, strict=False):
            yield from _of_tree(tree, shape)


def _of_tree(tree: Tree, shape: Any) -> Iterator[tuple[int, int, Any]]:
    if isinstance(shape, (list, tuple)):
        shape = dict(enumerate(shape))
    if not isinstance(shape, Mapping):
        return
    if isinstance(tree, Use):
        for d, dim in shape.items():
            if isinstance(dim, torch.export.Dim):
                yield tree.value, d, dim
        return
    if isinstance(tree, (list, tuple)):
        tree = dict(enumerate(tree))
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield from _of_tree(inner, shape.get(key))
