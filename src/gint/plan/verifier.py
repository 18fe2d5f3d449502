"""What a plan from a file has to be before it runs: every value made before it is used, every
number in range, every size and operator known.

A plan that has passed can still be wrong for the sizes it is called with. What depends on them is
checked where memory is bound (gint.runtime): that what a slot or a view reaches lies in the value
it is said to lie in.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any, NoReturn

from .contents import symbols_in, uses
from .dtypes import ELEMENT_TYPES
from .expressions import Operation, Symbol, walk
from .model import (
    Allocate,
    Call,
    Check,
    Define,
    Expect,
    Item,
    Launch,
    Plan,
    Release,
    TensorType,
    Use,
    View,
)
from .operators import COPY, WRITES_FIRST, is_saved_operator

#: What a path may ask of a tensor.
_QUESTIONS = ("size", "stride", "storage_offset")
_NUMERIC = re.compile(r"(//|\+|-)[1-9]\d{0,9}")
_NAME = re.compile(r"[A-Za-z_]\w{0,63}")
#: Parts of one size.
_MOST_PARTS = 1024
_MOST_RANK = 64
_MOST_SIZE = 1 << 48


class PlanError(ValueError):
    """A plan that must not run; the message says which step, and why."""


def is_size_name(name: str) -> bool:
    """Whether a size can be called so."""
    return _NAME.fullmatch(name) is not None


def verify_plan(plan: Plan, operators: Container[str]) -> None:
    """Raise PlanError for a plan that is not well formed, or calls what neither every saved plan
    may call nor is in `operators`."""
    _Verifier(plan, operators).verify()


class _Verifier:
    def __init__(self, plan: Plan, operators: Container[str]) -> None:
        self.plan, self.operators = plan, operators
        #: Value -> the type it is known to have; None for a number, a tuple, or an unknown type.
        self.values: dict[int, TensorType | None] = {}
        self.released: set[int] = set()
        self.allocated: set[int] = set()
        self.symbols: set[str] = set()
        self.held = range(len(plan.inputs), len(plan.inputs) + len(plan.constants))
        self.where = "the inputs"

    def verify(self) -> None:
        plan = self.plan
        types = [*[i.type for i in plan.inputs], *[c.type for c in plan.constants]]
        for n, t in enumerate(types):
            self.values[n] = t if isinstance(t, TensorType) else None
        self.steps(0, (first := plan.head))
        self.inputs()
        self.steps(first, len(plan.steps))
        self.where = "the result"
        if not isinstance(plan.result, tuple):
            self.fail("it is no tuple")
        self.argument(plan.result)

    def steps(self, start: int, stop: int) -> None:
        for n in range(start, stop):
            step = self.plan.steps[n]
            self.where = f"step {n} ({type(step).__name__.lower()})"
            _RULES[type(step)](self, step)

    def inputs(self) -> None:
        """The first steps have defined what inputs tell; their sizes are compared then."""
        self.where = "the inputs"
        for given in self.plan.inputs:
            if isinstance(given.type, TensorType):
                self.tensor_type(given.type)
        for constant in self.plan.constants:
            assert constant.type is not None
            self.tensor_type(constant.type)
            if symbols_in(constant.type):
                self.fail(f"the constant {constant.name!r} has symbolic sizes")

    def fail(self, reason: str) -> NoReturn:
        raise PlanError(f"the plan cannot be run: {self.where}: {reason}.")

    # Values and sizes

    def use(self, value: int) -> TensorType | None:
        if value not in self.values:
            self.fail(f"it uses value {value}, which nothing has made")
        if value in self.released:
            self.fail(f"it uses value {value}, which has been released")
        return self.values[value]

    def tensor(self, value: int) -> TensorType:
        found = self.use(value)
        if found is None:
            self.fail(f"the type of value {value} is not known")
        return found

    def write(self, value: int) -> None:
        """Only what was allocated is written into, and inputs and constants that are state."""
        flags = [*(i.written for i in self.plan.inputs), *(c.written for c in self.plan.constants)]
        is_state = value < len(flags) and flags[value]
        if not is_state and value not in self.allocated:
            self.fail(f"it writes into value {value}, which is neither allocated nor state")

    def make(self, value: int, t: TensorType | None = None) -> None:
        if value in self.values:
            self.fail(f"value {value} is made a second time")
        if value > len(self.plan.inputs) + len(self.plan.constants) + len(self.plan.steps):
            self.fail(f"the number {value} is larger than that of all values")
        self.values[value] = t

    def size(self, e: Any) -> None:
        if type(e) is int and -_MOST_SIZE <= e <= _MOST_SIZE:
            return
        parts = 0
        for part, _ in walk(e):
            parts += 1
            if isinstance(part, int) and abs(part) > _MOST_SIZE:
                self.fail(f"the number {part} is too large for a size")
        if parts > _MOST_PARTS:
            self.fail(f"a size has {parts} parts; {_MOST_PARTS} is the most")
        if unknown := symbols_in(e) - self.symbols:
            self.fail(f"the size {min(unknown)!r} is not known there")

    def layout(self, size: tuple, strides: tuple) -> None:
        if len(size) != len(strides) or len(size) > _MOST_RANK:
            self.fail(f"{len(size)} sizes and {len(strides)} strides")
        for e in (*size, *strides):
            self.size(e)
            if isinstance(e, bool | float) or (isinstance(e, int) and e < 0):
                self.fail(f"{e} is no size or stride")

    def tensor_type(self, t: TensorType) -> None:
        if t.dtype not in ELEMENT_TYPES:
            self.fail(f"there is no element type {t.dtype!r}")
        self.layout(t.size, t.strides)

    def argument(self, a: Any) -> None:
        for value in uses(a):
            self.use(value)
        for e in _sizes_in(a):
            self.size(e)

    def device(self, name: str) -> None:
        if name != "cpu":
            self.fail(f"it is for the device {name!r}; a saved plan says 'cpu'")

    # Steps

    def define(self, step: Define) -> None:
        t = self.use(step.value)
        asks_for = step.path[1] if len(step.path) >= 2 and step.path[0] in _QUESTIONS[:2] else None
        if t is not None and isinstance(asks_for, int) and asks_for >= len(t.size):
            self.fail(f"value {step.value} has no dimension {asks_for}")
        if not is_size_name(step.symbol):
            self.fail(f"{step.symbol!r} is no name for a size")
        if step.symbol in self.symbols:
            self.fail(f"the size {step.symbol} is known already")
        for part in step.path:
            is_known = type(part) is int or part in ("int", *_QUESTIONS)
            if not is_known and not _NUMERIC.fullmatch(str(part)):
                self.fail(f"{part!r} is no way to a size")
        self.symbols.add(step.symbol)

    def check(self, step: Check) -> None:
        self.size(step.condition)

    def allocate(self, step: Allocate) -> None:
        self.tensor_type(step.type)
        self.device(step.device)
        self.make(step.value, step.type)
        self.allocated.add(step.value)

    def launch(self, step: Launch) -> None:
        if step.program >= len(self.plan.programs):
            self.fail(f"there is no program {step.program}")
        p = self.plan.programs[step.program].program
        counts = (len(step.extents), len(step.params), len(step.slots))
        if counts != (len(p.axes), len(p.params), len(p.slots)):
            self.fail(f"{counts} axes, parameters and slots for {p.name}")
        self.device(step.device)
        for e in (*step.extents, *step.params):
            self.size(e)
        for slot, use in zip(p.slots, step.slots, strict=True):
            t = self.tensor(use.value)
            if ELEMENT_TYPES[t.dtype].slot != slot.dtype.name:
                self.fail(f"slot {slot.name!r} of {slot.dtype.name} is given {t.dtype}")
            if len(use.strides) != len(slot.axes):
                self.fail(f"slot {slot.name!r} has {len(slot.axes)} axes")
            if slot.access.writes:
                self.write(use.value)
            for e in (use.nbytes, use.offset, *use.strides):
                self.size(e)

    def call(self, step: Call) -> None:
        if not is_saved_operator(str(step.operator)) and step.operator not in self.operators:
            self.fail(f"{step.operator} is not among the operators that a saved plan may call")
        self.argument((step.args, [a for _, a in step.kwargs]))
        if any(not _NAME.fullmatch(name) for name, _ in step.kwargs):
            self.fail("an argument has no proper name")
        if any(name == "out" for name, _ in step.kwargs):
            self.fail("it names memory to write into, which only values that are made have")
        if str(step.operator).startswith(WRITES_FIRST):
            first = step.args[0] if step.args else None
            if not isinstance(first, Use):
                self.fail("it writes into no value")
            self.write(first.value)
        if step.into:
            self.tensor(step.value)
            self.write(step.value)
        else:
            self.make(step.value)
        if str(step.operator).startswith(f"{COPY}."):
            self.allocated.add(step.value)

    def item(self, step: Item) -> None:
        self.use(step.of)
        self.make(step.value)

    def view(self, step: View) -> None:
        base = self.tensor(step.of)
        self.layout(step.size, step.strides)
        self.size(step.offset)
        self.make(step.value, TensorType(base.dtype, step.size, step.strides))

    def expect(self, step: Expect) -> None:
        self.use(step.value)
        self.tensor_type(step.type)
        self.values[step.value] = step.type

    def release(self, step: Release) -> None:
        for value in step.values:
            self.use(value)
            if value in self.held:
                self.fail(f"it releases the constant {value}")
            self.released.add(value)


_RULES: dict[type, Any] = {
    Define: _Verifier.define, Check: _Verifier.check, Allocate: _Verifier.allocate,
    Launch: _Verifier.launch, Call: _Verifier.call, Item: _Verifier.item, View: _Verifier.view,
    Expect: _Verifier.expect, Release: _Verifier.release,
}  # fmt: skip


def _sizes_in(a: Any) -> list[Any]:
    """The symbolic sizes among arguments."""
    if isinstance(a, (list, tuple)):
        return [e for x in a for e in _sizes_in(x)]
    if isinstance(a, dict):
        return _sizes_in(list(a.values()))
    if isinstance(a, slice):
        return _sizes_in([a.start, a.stop, a.step])
    return [a] if isinstance(a, (Operation, Symbol)) else []
