"""Where operators enter the table: a function stands under the names that ATen has for it, or
gint for its own.

Knows names. Does not know arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Operator = Callable[..., Any]
Function = TypeVar("Function", bound=Operator)

#: ATen's overload, "aten.addmm.default", or one of gint's -> the function that takes its place.
OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Function], Function]:
    """Enter a function under names of overloads, ".default" left out: "addmm", "sort.stable". One
    of gint's is written out."""

    def enter(function: Function) -> Function:
        for name in names:
            full = name if name.startswith("gint.") else f"aten.{name}"
            full = full if full.count(".") == 2 else f"{full}.default"
            assert full not in OPERATORS, f"{full} is in the table twice"
            OPERATORS[full] = function
        return function

    return enter
