"""Plans as data: what a graph launches and calls, in which order, and the file that holds it.

Knows programs and the names of types and operators. Does not know torch, NumPy or backends: plans
are made in `gint.conductor` and run in `gint.runtime`.
"""

from .expressions import Expression, Operation, Symbol
from .model import (
    Allocate,
    Call,
    Check,
    Constant,
    Define,
    Expect,
    Foreign,
    Input,
    Item,
    Launch,
    Named,
    Plan,
    Release,
    SlotUse,
    Step,
    TensorType,
    Use,
    View,
)

__all__ = [
    "Allocate", "Call", "Check", "Constant", "Define", "Expect", "Expression", "Foreign", "Input",
    "Item", "Launch", "Named", "Operation", "Plan", "Release", "SlotUse", "Step", "Symbol",
    "TensorType", "Use", "View",
]  # fmt: skip
