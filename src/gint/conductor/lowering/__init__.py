"""Lowering: from an ATen operator to opcodes. One rule an operator, by subject:

    pointwise.py   elementwise operators; most are one line of a table
    reduce.py      reductions, softmax, norms
    create.py      full, arange, casts, copies
    join.py        concatenations

A rule takes a Context and returns the value of the node at the context's map.
"""

from . import create, join, pointwise, reduce
from .join import fuses
from .rules import NotLowerableError, has_rule, lower, rules

__all__ = [
    "NotLowerableError",
    "create",
    "fuses",
    "has_rule",
    "join",
    "lower",
    "pointwise",
    "reduce",
    "rules",
]
