"""Operators on lists of tensors (`torch._foreach_add` and others), as one operator on each tensor.

Optimisers are written with them. ATen's own for the CPU are such loops too, so the values are
eager's; taken apart, what follows one after the other on a tensor becomes one program.

Knows ATen's operators. Does not know opcodes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

aten = torch.ops.aten

#: Lists are called as what is done to each tensor of them, but for these.
_NAMES = {"maximum": "clamp_min", "minimum": "clamp_max", "norm": "linalg_vector_norm"}
_TAKEN_APART = (
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor",
    "frac", "lgamma", "log", "log10", "log1p", "log2", "max", "neg", "reciprocal", "round", "rsqrt",
    "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "zero", "clone", "copy",
    "add", "sub", "mul", "div", "pow", "lerp", "addcmul", "addcdiv", "clamp_min", "clamp_max", "mm",
    "maximum", "minimum", "norm",
)  # fmt: skip
#: Where the numbers are an argument of an operator on one tensor that is known by its name alone.
_NAMED_NUMBERS = {"addcmul": "value", "addcdiv": "value"}


def _of_each(function: Callable[..., Any], number: str | None, *args: Any, **options: Any) -> Any:
    """The results of `function` for the n-th of every list, and for all of what is no list."""
    if number is not None and len(args) == 4:
        *args, numbers = args  # type: ignore[assignment]
        if isinstance(numbers, torch.Tensor):
            return NotImplemented  # they are in memory
        options[number] = numbers
    count = next(len(x) for x in args if isinstance(x, (list, tuple)))

    def nth(x: Any, n: int) -> Any:
        return x[n] if isinstance(x, (list, tuple)) else x

    return [
        function(*(nth(x, n) for x in args), **{name: nth(x, n) for name, x in options.items()})
        for n in range(count)
    ]


def _norm_of_each(tensors: list[torch.Tensor], ord: float = 2, dtype: Any = None) -> Any:
    """`dtype`, third in the list's operator, is no such argument of one tensor's."""
    return [aten.linalg_vector_norm(x, ord, dtype=dtype) for x in tensors]


def _written() -> dict[Any, Callable]:
    table: dict[Any, Callable] = {}
    for name in _TAKEN_APART:
        lists = getattr(aten, f"_foreach_{name}", None)
        if lists is None:  # torch 2.11 has no _foreach_clone
            continue
        one = getattr(aten, _NAMES.get(name, name))
        apart = partial(_of_each, one, _NAMED_NUMBERS.get(name))
        for overload in (getattr(lists, found) for found in lists.overloads()):
            if not overload._schema.is_mutable:
                table[overload] = _norm_of_each if name == "norm" else apart
    return table


#: Overloads of ATen's, and what they are traced as.
WRITTEN = _written()
