"""The symbols that sizes are written in, as variables of a plan."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from ..graph.nodes import value_of
from ..graph.sizes import keys


class Symbols:
    """Which symbols a plan has defined so far."""

    def __init__(self) -> None:
        self.defined: set[str] = set()

    def lines_for(self, placeholders: list[fx.Node], names: Mapping[fx.Node, str]) -> list[str]:
        """Variables for the symbols that inputs carry, by themselves or as a size."""
        lines = []
        for node in placeholders:
            value = value_of(node)
            if isinstance(value, (torch.SymInt, torch.SymFloat)) and value.node.expr.is_Symbol:
                lines += self.define(str(value.node.expr), names[node])
        for node in placeholders:
            value = value_of(node)
            if isinstance(value, torch.Tensor):
                for what, sizes in (("size", keys(value.shape)), ("stride", keys(value.stride()))):
                    for d, k in enumerate(sizes):
                        if not isinstance(k, int) and k.is_Symbol:
                            lines += self.define(str(k), f"{names[node]}.{what}({d})")
        return lines

    def define(self, symbol: str, value: str) -> list[str]:
        """The line that gives a symbol its value, unless one has."""
        if symbol in self.defined:
            return []
        self.defined.add(symbol)
        return [f"{symbol} = {value}"]

    def refuse_unknown(self, function: Any, text: str) -> None:
        """Raise LookupError for a symbol nothing defines: now, not when the function is called."""
        if not self.defined:
            return
        # A code object does not tell its globals from its attributes; the text does.
        attributes = re.findall(r"\.(\w+)", text)
        names = set(function.__code__.co_names) - set(attributes)
        if unknown := names - function.__globals__.keys() - vars(builtins).keys():
            raise LookupError(f"The plan reads {sorted(unknown)}, which no input defines.")
