"""Sizes as small trees: numbers, symbols, and operations on them.

An expression is a number, a Symbol or an Operation of OPERATIONS. It is evaluated by walking it;
every whole number on the way has to fit 64 bits, so that no tree, however it came about, takes
long or much memory. Standard library only.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from gint.dataclass import frozen

Number = int | float | bool


@frozen(slots=True)
class Symbol:
    """A number that is known when a plan runs."""

    name: str


@frozen(slots=True)
class Operation:
    """`name` is one of OPERATIONS."""

    name: str
    of: tuple[Expression, ...]


Expression = Number | Symbol | Operation


class Meaning(NamedTuple):
    """`operands`: how many an operation takes (None: any number from 1); what it computes; how
    Python writes it: with `{0}`, `{1}`, or as what stands between operands."""

    operands: int | None
    compute: Callable[..., Any]
    written: str


def _folded(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda *operands: reduce(function, operands)


def _chosen(condition: Any, then: Any, otherwise: Any) -> Any:
    return then if condition else otherwise


OPERATIONS: dict[str, Meaning] = {
    "add": Meaning(None, _folded(operator.add), " + "),
    "mul": Meaning(None, _folded(operator.mul), "*"),
    "max": Meaning(None, max, "max({0})"),
    "min": Meaning(None, min, "min({0})"),
    "and": Meaning(None, _folded(lambda a, b: a and b), " and "),
    "or": Meaning(None, _folded(lambda a, b: a or b), " or "),
    "not": Meaning(1, operator.not_, "not {0}"),
    "floordiv": Meaning(2, operator.floordiv, "{0} // {1}"),
    "mod": Meaning(2, operator.mod, "{0} % {1}"),
    "truediv": Meaning(2, operator.truediv, "{0} / {1}"),
    "pow": Meaning(2, operator.pow, "{0} ** {1}"),
    "eq": Meaning(2, operator.eq, "{0} == {1}"),
    "ne": Meaning(2, operator.ne, "{0} != {1}"),
    "lt": Meaning(2, operator.lt, "{0} < {1}"),
    "le": Meaning(2, operator.le, "{0} <= {1}"),
    "gt": Meaning(2, operator.gt, "{0} > {1}"),
    "ge": Meaning(2, operator.ge, "{0} >= {1}"),
    "where": Meaning(3, _chosen, "{1} if {0} else {2}"),
    "bitand": Meaning(2, operator.and_, "{0} & {1}"),
    "bitor": Meaning(2, operator.or_, "{0} | {1}"),
    "bitxor": Meaning(2, operator.xor, "{0} ^ {1}"),
    "lshift": Meaning(2, operator.lshift, "{0} << {1}"),
    "rshift": Meaning(2, operator.rshift, "{0} >> {1}"),
    "abs": Meaning(1, abs, "abs({0})"),
    "float": Meaning(1, float, "float({0})"),
    "round": Meaning(1, round, "round({0})"),
    "rounded": Meaning(2, round, "round({0})"),
}
_OF_MATH = (
    "trunc", "floor", "ceil", "sqrt", "exp", "log", "log2", "sin", "cos", "tan", "sinh", "cosh",
    "tanh", "asin", "acos", "atan",
)  # fmt: skip
OPERATIONS |= {name: Meaning(1, getattr(math, name), f"math.{name}({{0}})") for name in _OF_MATH}

#: Whole numbers are raised to, and shifted by, no more: 64 bits hold no larger power of 2.
MOST_POWER = 62
_MOST = 1 << 63


class EvaluationError(ValueError):
    """An expression that has no value here; the message says which and why."""


def evaluate(e: Expression, symbols: Mapping[str, Number]) -> Number:
    """The value of an expression whose symbols have these values.

    Raises EvaluationError for a division by zero, a number beyond 64 bits, an unknown symbol.
    """
    if isinstance(e, Symbol):
        if e.name not in symbols:
            raise EvaluationError(f"The size {e.name} is not known.")
        return symbols[e.name]
    if not isinstance(e, Operation):
        return e
    operands = [evaluate(x, symbols) for x in e.of]
    if e.name in ("pow", "lshift") and abs(operands[1]) > MOST_POWER:
        raise EvaluationError(f"The power in {source(e)} is larger than {MOST_POWER}.")
    try:
        value = OPERATIONS[e.name].compute(*operands)
    except (ArithmeticError, ValueError, TypeError) as error:
        raise EvaluationError(f"{source(e)} has no value: {error}.") from None
    if isinstance(value, complex) or (isinstance(value, int) and not -_MOST <= value < _MOST):
        raise EvaluationError(f"{source(e)} is beyond 64 bits.")
    return value


def evaluator(e: Expression) -> Callable[[Mapping[str, Number]], Number]:
    """`evaluate`, for an expression whose value is wanted again and again."""
    if isinstance(e, Operation) and e.name in ("add", "mul") and len(e.of) == 2:
        compute, (left, right) = _OF_TWO[e.name], map(evaluator, e.of)

        def evaluate_two(symbols: Mapping[str, Number]) -> Number:
            value = compute(left(symbols), right(symbols))
            # What is no number of 64 bits is refused in words.
            is_whole = type(value) is int and -_MOST <= value < _MOST
            return value if is_whole else evaluate(e, symbols)

        return evaluate_two
    if isinstance(e, (Symbol, Operation)):
        return lambda symbols: evaluate(e, symbols)
    return lambda symbols: e


_OF_TWO = {"add": operator.add, "mul": operator.mul}


def walk(e: Expression) -> Iterator[tuple[Expression, int]]:
    """The expression and all within it, each with how deep it lies."""
    waiting: list[tuple[Expression, int]] = [(e, 0)]
    while waiting:
        e, depth = waiting.pop()
        yield e, depth
        if isinstance(e, Operation):
            waiting += [(x, depth + 1) for x in e.of]


def source(e: Expression) -> str:
    """Python source of an expression whose symbols are variables."""
    if isinstance(e, Symbol):
        return e.name
    if not isinstance(e, Operation):
        return repr(e)
    written = OPERATIONS[e.name].written
    if "{" not in written:
        return written.join([_operand(x) for x in e.of])
    if written.endswith(")"):
        return written.replace("{0}", ", ".join([source(x) for x in e.of]))
    return written.format(*[_operand(x) for x in e.of])


def _operand(e: Expression) -> str:
    text = source(e)
    is_call = isinstance(e, Operation) and OPERATIONS[e.name].written.endswith(")")
    is_whole = is_call or not (isinstance(e, Operation) or text.startswith("-"))
    return text if is_whole else f"({text})"
