"""The values and symbols of steps and arguments, wherever in them they stand."""

import pytest

from gint.plan import (
    Allocate,
    Call,
    Check,
    Define,
    Expect,
    Foreign,
    Item,
    Launch,
    Named,
    Operation,
    Release,
    SlotUse,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.contents import symbols_in, uses, values_of

S, T = Symbol("s0"), Symbol("s1")
BOTH = Operation("mul", (S, Operation("add", (T, 1))))
TYPE = TensorType("float32", (S, 4), (4, 1))
SLOTS = (SlotUse(3, BOTH, 0, (1,)), SlotUse(5, 16, 0, (S,)))
ARGUMENTS = (
    Use(1),
    [Use(2), 3],
    {"k": (Use(4), None)},
    slice(Use(6), None, S),
    Named("dtype", "x"),
)

STEPS = [
    (Define("s0", 2, ("size", 0)), [2], set()),
    (Check(Operation("gt", (S, 0)), "too few"), [], {"s0"}),
    (Allocate(7, TYPE, "cpu"), [7], {"s0"}),
    (Launch(0, (T,), (), SLOTS, "cpu"), [3, 5], {"s0", "s1"}),
    (Launch(0, (4,), (BOTH,), SLOTS[:0], "cpu"), [], {"s0", "s1"}),
    (Call(9, "aten.f.default", ARGUMENTS, (("out", Use(8)),)), [9, 1, 2, 4, 6, 8], {"s0"}),
    (Call(9, Foreign(S), (), ()), [9], set()),
    (Item(4, 3, 1), [4, 3], set()),
    (View(4, 3, (S,), (1,), T), [4, 3], {"s0", "s1"}),
    (Expect(6, TYPE), [6], {"s0"}),
    (Release((1, 2)), [], set()),
]


@pytest.mark.parametrize(("step", "values", "symbols"), STEPS)
def test_a_step(step, values: list[int], symbols: set[str]) -> None:
    assert values_of(step) == values
    assert symbols_in(step) == symbols


def test_steps_and_arguments_together() -> None:
    assert symbols_in(tuple(step for step, _, _ in STEPS)) == {"s0", "s1"}
    assert uses(ARGUMENTS) == [1, 2, 4, 6]
    assert uses("text") == []
    assert symbols_in((1, "s0", 2.5, None)) == frozenset()
