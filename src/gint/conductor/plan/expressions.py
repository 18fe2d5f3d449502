"""From torch's symbolic sizes, which are sympy's expressions, to a plan's."""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import Any

import torch

from gint.plan import Expression, Operation, Symbol

from ..graph.sizes import Key, key

#: Classes of torch's and sympy's by name -> the operation of the same operands.
_SAME = {
    "Add": "add", "Mul": "mul", "Max": "max", "Min": "min", "And": "and", "Or": "or", "Not": "not",
    "FloorDiv": "floordiv", "CleanDiv": "floordiv", "Mod": "mod", "PythonMod": "mod",
    "IntTrueDiv": "truediv", "FloatTrueDiv": "truediv", "Pow": "pow", "PowByNatural": "pow",
    "FloatPow": "pow", "Equality": "eq", "Unequality": "ne", "StrictLessThan": "lt",
    "LessThan": "le", "StrictGreaterThan": "gt", "GreaterThan": "ge", "Where": "where",
    "Abs": "abs", "ToFloat": "float", "TruncToInt": "trunc", "TruncToFloat": "trunc",
    "FloorToInt": "floor", "floor": "floor", "CeilToInt": "ceil", "ceiling": "ceil",
    "RoundToInt": "round", "RoundDecimal": "rounded", "BitwiseFn_bitwise_and": "bitand",
    "BitwiseFn_bitwise_or": "bitor", "BitwiseFn_bitwise_xor": "bitxor", "LShift": "lshift",
    "RShift": "rshift",
}  # fmt: skip
_OPAQUE = "OpaqueUnaryFn_"


def expression(k: Key) -> Expression:
    """The expression of a key. Raises LookupError for what no plan can say."""
    return k if isinstance(k, (int, float)) else _converted(k)


def expressions(keys: tuple) -> tuple:
    """The same of a tuple of keys."""
    return tuple([k if type(k) is int else expression(k) for k in keys])


def number(value: Any) -> Expression:
    """The expression of a number, symbolic or not."""
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return expression(key(value))
    return value


@lru_cache(maxsize=4096)
def _converted(e: Any) -> Expression:
    if e.is_Symbol:
        return Symbol(e.name)
    name = type(e).__name__
    if e.is_Integer:
        return int(e)
    if e.is_Float or e.is_infinite:
        return float(e)
    if e.is_Rational:
        return Operation("truediv", (int(e.p), int(e.q)))
    if name in ("BooleanTrue", "BooleanFalse"):
        return bool(e)
    if name == "Identity":
        return _converted(e.args[0])
    if name == "ModularIndexing":
        x, divisor, modulus = map(_converted, e.args)
        return Operation("mod", (Operation("floordiv", (x, divisor)), modulus))
    if name == "Piecewise":
        pieces = [(_converted(c), _converted(v)) for v, c in e.args]
        last = pieces.pop()[1]
        return reduce(lambda below, p: Operation("where", (*p, below)), reversed(pieces), last)
    operation = name.removeprefix(_OPAQUE) if name.startswith(_OPAQUE) else _SAME.get(name)
    if operation is None:
        raise LookupError(f"A plan has no word for {name} in the size {e}.")
    return Operation(operation, tuple(map(_converted, e.args)))
