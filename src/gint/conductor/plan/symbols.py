"""The symbols that sizes are written in: where a plan finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import fx

from gint.plan import Define, Step
from gint.plan.contents import symbols_in

from ..graph.nodes import value_of
from ..graph.sizes import keys


class Symbols:
    """Which symbols a plan has defined so far."""

    def __init__(self) -> None:
        self.defined: set[str] = set()

    def of_inputs(self, placeholders: list[fx.Node], values: Mapping[fx.Node, int]) -> list[Step]:
        """Steps for the symbols that inputs carry, by themselves or as a size."""
        steps: list[Step] = []
        for node in placeholders:
            value = value_of(node)
            if isinstance(value, (torch.SymInt, torch.SymFloat)) and value.node.expr.is_Symbol:
                steps += self.define(str(value.node.expr), values[node], ())
        for node in placeholders:
            value = value_of(node)
            if isinstance(value, torch.Tensor):
                for what, sizes in (("size", keys(value.shape)), ("stride", keys(value.stride()))):
                    for d, k in enumerate(sizes):
                        if not isinstance(k, int) and k.is_Symbol:
                            steps += self.define(str(k), values[node], (what, d))
        return steps

    def define(self, symbol: str, value: int, path: tuple[int | str, ...]) -> list[Step]:
        """The step that gives a symbol its value, unless one has."""
        if symbol in self.defined:
            return []
        self.defined.add(symbol)
        return [Define(symbol, value, path)]

    def refuse_unknown(self, steps: Iterable[Step], result: Any) -> None:
        """Raise LookupError for a symbol nothing defines: now, not when the plan runs."""
        if not self.defined:
            return
        if unknown := symbols_in((*steps, result)) - self.defined:
            raise LookupError(f"The plan reads {sorted(unknown)}, which no input defines.")


def path_steps(path: tuple) -> tuple[int | str, ...]:
    """A path of torch.utils._pytree's as a plan says it. Raises LookupError for what it cannot."""
    from torch.fx.experimental import symbolic_shapes

    found: list[int | str] = []
    for key in path:
        if isinstance(key, symbolic_shapes.ConvertIntKey):
            found.append("int")
        elif isinstance(key, symbolic_shapes.CallMethodKey):
            found.append(key.name)
        elif isinstance(key, symbolic_shapes.DivideByKey) and isinstance(key.divisor, int):
            found.append(f"//{key.divisor}")
        elif isinstance(getattr(key, "idx", None), int):
            found.append(key.idx)
        else:
            raise LookupError(f"A plan has no word for the path {key} to a size.")
    return tuple(found)
