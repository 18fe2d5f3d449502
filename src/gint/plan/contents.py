"""What steps and arguments are made of: the values they use, the symbols in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from .expressions import Operation, Symbol
from .model import Define, Foreign, Item, Launch, Step, Use, View


def values_of(step: Step) -> Iterator[int]:
    """The values a step makes or uses."""
    if isinstance(step, Launch):
        yield from (slot.value for slot in step.slots)
    elif isinstance(step, (Item, View)):
        yield from (step.value, step.of)
    elif hasattr(step, "value"):
        yield step.value
        if not isinstance(step, Define):
            for field in fields(step):
                yield from uses(getattr(step, field.name))


def uses(a: Any) -> Iterator[int]:
    """The values in an argument."""
    if isinstance(a, Use):
        yield a.value
    elif isinstance(a, (list, tuple)):
        for x in a:
            yield from uses(x)
    elif isinstance(a, dict):
        for x in a.values():
            yield from uses(x)
    elif isinstance(a, slice):
        yield from uses((a.start, a.stop, a.step))


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
    elif is_dataclass(x) and not isinstance(x, Foreign):
        inner = [getattr(x, f.name) for f in fields(x)]
    else:
        return frozenset()
    return frozenset().union(*[symbols_in(y) for y in inner if type(y) is not int])
