"""What steps and arguments are made of: the values they use, the symbols in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from .expressions import Operation, Symbol
from .model import (
    Allocate,
    Call,
    Check,
    Constant,
    Define,
    Expect,
    Input,
    Item,
    Launch,
    SlotUse,
    Step,
    TensorType,
    Use,
    View,
)

#: What may have symbols in it, by class.
_PARTS = {
    kind: tuple([field.name for field in fields(kind)])
    for kind in (
        Input, Constant, TensorType, Check, Allocate, SlotUse, Launch, Call, View, Expect,
    )
}  # fmt: skip
_PLAIN = (int, str, bool, float, type(None))
_NO_SYMBOLS: frozenset[str] = frozenset()


def values_of(step: Step) -> list[int]:
    """The values a step makes or uses."""
    if isinstance(step, Launch):
        return [slot.value for slot in step.slots]
    if isinstance(step, (Item, View)):
        return [step.value, step.of]
    if isinstance(step, Call):
        return [step.value, *uses(step.args), *uses(step.kwargs)]
    return [step.value] if isinstance(step, (Allocate, Define, Expect)) else []


def uses(a: Any) -> list[int]:
    """The values in an argument."""
    found: list[int] = []
    _collect(a, found)
    return found


def _collect(a: Any, found: list[int]) -> None:
    if isinstance(a, Use):
        found.append(a.value)
    elif isinstance(a, (list, tuple)):
        for x in a:
            _collect(x, found)
    elif isinstance(a, dict):
        for x in a.values():
            _collect(x, found)
    elif isinstance(a, slice):
        _collect((a.start, a.stop, a.step), found)


def symbols_in(x: Any) -> frozenset[str]:
    """The symbols in a step, an argument or an expression, or in tuples of them."""
    if isinstance(x, Symbol):
        return frozenset((x.name,))
    if isinstance(x, Operation):
        inner: Iterable[Any] = x.of
    elif isinstance(x, (tuple, list)):
        inner = x
    elif isinstance(x, dict):
        inner = x.values()
    elif isinstance(x, slice):
        inner = (x.start, x.stop, x.step)
    else:
        inner = [getattr(x, name) for name in _PARTS.get(type(x), ())]
    found = [symbols_in(y) for y in inner if type(y) not in _PLAIN]
    return frozenset().union(*found) if found else _NO_SYMBOLS
