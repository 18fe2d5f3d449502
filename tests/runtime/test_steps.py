"""Steps of a plan, prepared and run one at a time on NumPy arrays."""

from __future__ import annotations

import numpy as np
import pytest

from gint.backend import registry
from gint.plan import (
    Allocate,
    Call,
    Check,
    Define,
    Expect,
    Input,
    Item,
    Launch,
    Named,
    Operation,
    Plan,
    Release,
    SlotUse,
    Symbol,
    TensorType,
    Use,
    View,
)  # fmt: skip
from gint.plan.verifier import PlanError
from gint.program import VerificationError, assemble, verify
from gint.runtime.arrays import Arrays
from gint.runtime.steps import Steps
from tests.plan.saving import SCALED

N = Symbol("n")
ROW = TensorType("float32", (N,), (1,))
FIXED = TensorType("float32", (4,), (1,))
DIVIDES = verify(
    assemble("""\
program divides
axis i parallel
slot x i64 in (i)
slot y i64 out (i)
map
  load.i64 r[0] <- s[x]
  const.i64 r[1] <- 12
  floor_div.i64 r[2] <- floor(r[1] / r[0])
  store.i64 s[y] <- r[2]
""")
)


def steps(*types: TensorType, programs=()) -> Steps:
    """What prepares the steps of a plan with such inputs."""
    inputs = tuple(Input(f"x{n}", t) for n, t in enumerate(types))
    kernels = [registry.backend("python").load(p) for p in programs]
    return Steps(Plan(inputs, (), tuple(programs), (), ()), Arrays(), kernels)


def run(step, values: list, sizes: dict | None = None, prepared: Steps | None = None) -> list:
    v = [*values, *[None] * 4]
    (prepared or steps(*[FIXED] * len(values))).prepare(step)(v, {} if sizes is None else sizes)
    return v


def f32(*values) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        (np.zeros((3, 5)), ("size", 1), 5),
        (np.zeros((3, 5)), ("stride", 0), 5),
        (np.zeros((3, 5)), ("storage_offset",), 0),
        (7, (), 7),
        (True, ("int",), 1),
        ((2, [9, 8]), (1, 0), 9),
        (np.zeros(9), ("size", 0, "-3", "//2"), 3),
        (np.zeros(9), ("size", 0, "+1"), 10),
    ],
)
def test_sizes_are_found_along_a_path(value, path, found):
    sizes: dict = {}
    run(Define("n", 0, path), [value], sizes, steps(FIXED) if path == ("size", 0) else steps())
    assert sizes == {"n": found}


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (None, ("size", 0), "The size n is not found"),
        (np.zeros(2), ("size", 4), "The size n is not found"),
        ("text", (), "The size n is no number"),
        (3, (0,), "The size n is not found"),
    ],
)
def test_what_is_no_size(value, path, reason):
    with pytest.raises(PlanError, match=reason):
        run(Define("n", 0, path), [value], {}, steps())


def test_a_condition_holds_or_is_said_with_the_sizes():
    check = Check(Operation("gt", (N, 2)), "Three rows at least.")
    run(check, [], {"n": 3})
    with pytest.raises(ValueError, match=r"Three rows at least\. Here n = 2\.$"):
        run(check, [], {"n": 2, "m": 7})
    with pytest.raises(ValueError, match=r"Never\."):
        run(Check(False, "Never."), [])


def test_memory_of_sizes_that_are_known_when_it_runs():
    prepared = steps()
    allocate = prepared.prepare(Allocate(0, TensorType("float32", (N, 2), (2, 1)), "cpu"))
    for n in (3, 0, 5, 3):
        v: list = [None]
        allocate(v, {"n": n})
        assert (v[0].shape, v[0].dtype) == ((n, 2), np.float32)
    with pytest.raises(PlanError, match=r"Value 0 has the strides \(-1,\)"):
        prepared.prepare(Allocate(0, TensorType("float32", (3,), (-1,)), "cpu"))


@pytest.mark.parametrize(
    ("offset", "strides", "fits"),
    [(0, (1,), True), (2, (1,), True), (3, (1,), False), (0, (3,), True), (1, (3,), False),
     (-1, (1,), False), (3, (-1,), False)],
)  # fmt: skip
def test_a_view_stays_within_its_value(offset, strides, fits):
    view = View(1, 0, (2,), strides, offset)
    if not fits:
        with pytest.raises(PlanError, match=r"seen as \[2\] from element .* and has 4"):
            run(view, [f32(0, 1, 2, 3)])
        return
    assert run(view, [f32(0, 1, 2, 3)])[1].tolist() == [offset, offset + strides[0]]


def test_a_view_of_nothing_may_begin_behind_the_end():
    """As keys of no tokens do, behind the queries of none."""
    found = run(View(1, 0, (0, 2), (6, 1), 2), [f32()])[1]
    assert found.shape == (0, 2)
    with pytest.raises(PlanError, match=r"from element -1 on"):
        run(View(1, 0, (0,), (1,), -1), [f32()])


def test_a_view_of_a_size_that_grows():
    prepared = steps(ROW).prepare(View(1, 0, (2,), (1,), Operation("add", (N, -2))))
    v = [f32(5, 6, 7), None]
    prepared(v, {"n": 3})
    assert v[1].tolist() == [6, 7]
    with pytest.raises(PlanError, match=r"from element -1 on"):
        prepared([f32(5), None], {"n": 1})


def test_what_an_operator_made_is_compared():
    expect = Expect(0, TensorType("float32", (2, 2), (1, 2)))
    found = run(expect, [f32(1, 2, 3, 4).reshape(2, 2)], prepared=steps())[0]
    assert found.strides == (4, 8)
    assert found.tolist() == [[1, 2], [3, 4]]
    for wrong in (f32(1, 2), np.ones((2, 2)), None):
        with pytest.raises(PlanError, match=r"An operator made .* float32\[2, 2\]"):
            run(expect, [wrong], prepared=steps())


def test_arguments_of_an_operator():
    args = ([Use(0), Use(0)], 0)
    made = run(Call(1, "aten.cat.default", args), [f32(1, 2)])
    assert made[1].tolist() == [1, 2, 1, 2]
    sized = steps(ROW).prepare(Call(1, "aten.slice.Tensor", (Use(0), 0, 0, N)))
    v = [f32(1, 2, 3), None]
    sized(v, {"n": 2})
    assert v[1].tolist() == [1, 2]
    named = Call(1, "aten.cumsum.default", (Use(0), 0), (("dtype", Named("dtype", "float64")),))
    assert run(named, [f32(1, 2)])[1].dtype == np.float64
    with pytest.raises(LookupError, match="needs torch"):
        run(Call(1, "aten.lgamma.default", (Use(0),)), [f32(1)])


def test_items_and_releases():
    assert run(Item(1, 0, 1), [("a", "b")], prepared=steps())[1] == "b"
    assert run(Release((0,)), [f32(1)])[0] is None


def slots(*offsets: int) -> tuple[SlotUse, ...]:
    return (
        SlotUse(0, 16, offsets[0], (4, 1)), SlotUse(1, 16, offsets[1], (1,)),
        SlotUse(2, 16, offsets[2], (4, 1)),
    )  # fmt: skip


def test_a_launch_runs_a_program():
    types = (TensorType("float32", (1, 4), (4, 1)), FIXED, TensorType("float32", (1, 4), (4, 1)))
    prepared = steps(*types, programs=(SCALED,))
    values = [f32(1, 2, 3, 4)[None], f32(2, 3, 4, 5), np.zeros((1, 4), np.float32)]
    found = run(Launch(0, (1, 4), (), slots(0, 0, 0), "cpu"), values, prepared=prepared)
    assert found[2].tolist() == [[2, 6, 12, 20]]
    with pytest.raises(VerificationError, match="Slot 'w' would touch bytes 4 to 20"):
        run(Launch(0, (1, 4), (), slots(0, 1, 0), "cpu"), values, prepared=prepared)


def test_a_slot_reaches_no_further_than_its_value():
    rows = TensorType("float32", (1, 4), (4, 1))
    types = (rows, TensorType("float32", (3,), (1,)), rows)
    with pytest.raises(PlanError, match=r"scaled would reach 16 bytes .* has 12 .slot 1"):
        steps(*types, programs=(SCALED,)).prepare(Launch(0, (1, 4), (), slots(0, 0, 0), "cpu"))


def test_an_integer_division_by_zero_is_raised():
    row = TensorType("int64", (3,), (1,))
    launch = Launch(0, (3,), (), (SlotUse(0, 24, 0, (1,)), SlotUse(1, 24, 0, (1,))), "cpu")
    prepared = steps(row, row, programs=(DIVIDES,))
    out = np.zeros(3, np.int64)
    assert run(launch, [np.array([1, 5, -5]), out], prepared=prepared)[1].tolist() == [12, 2, -3]
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run(launch, [np.array([1, 0, 2]), out], prepared=prepared)


def test_the_result_of_a_plan():
    result = steps().result((Use(0), [N, Operation("mul", (2, N))], {"k": Use(1)}, None, "text"))
    assert result(["a", "b"], {"n": 3}) == ("a", [3, 6], {"k": "b"}, None, "text")
