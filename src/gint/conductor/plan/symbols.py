"""The symbols that sizes are written in: where a plan finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import fx

from gint.plan import Define, Step
from gint.plan.contents import symbols_in

from ..graph.nodes import value_of
from ..graph.sizes import Key, keys


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
            steps += self.of_tensor(value_of(node), values[node])
        return [*steps, *self._of_multiples(placeholders, values)]

    def of_tensor(self, tensor: Any, value: int) -> list[Step]:
        """Steps for the symbols that are a size or a stride of what may be a tensor. A call's
        result brings one where tracing made a size of the process a symbol: that of the state of
        torch's random numbers, which a checkpoint keeps."""
        steps: list[Step] = []
        if isinstance(tensor, torch.Tensor):
            for what, sizes in (("size", keys(tensor.shape)), ("stride", keys(tensor.stride()))):
                for d, k in enumerate(sizes):
                    if not isinstance(k, int) and k.is_Symbol:
                        steps += self.define(str(k), value, (what, d))
        return steps

    def _of_multiples(
        self, placeholders: list[fx.Node], values: Mapping[fx.Node, int]
    ) -> Iterator[Step]:
        """Steps for the symbols n that inputs carry only as a size a * n + b. Whoever checks that
        inputs have the sizes they should finds those that are no such multiple."""
        for node in placeholders:
            value = value_of(node)
            for d, k in enumerate(keys(value.shape) if isinstance(value, torch.Tensor) else ()):
                symbol, path = _multiple(k)
                if symbol is not None:
                    yield from self.define(symbol, values[node], ("size", d, *path))

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


def _multiple(k: Key) -> tuple[str | None, tuple[str, ...]]:
    """The symbol n of a size a * n + b, and what a path says after the size; None for others."""
    if isinstance(k, int):
        return None, ()
    more, terms = k.as_coeff_add()
    if len(terms) != 1:
        return None, ()
    times, factors = terms[0].as_coeff_mul()
    is_line = more.is_Integer and times.is_Integer and times > 0
    if not is_line or len(factors) != 1 or not factors[0].is_Symbol:
        return None, ()
    minus = (f"{-int(more):+d}",) if more else ()
    return str(factors[0]), (*minus, *((f"//{times}",) if times != 1 else ()))


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
