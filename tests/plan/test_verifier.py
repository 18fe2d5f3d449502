"""Plans that must not run: which step is refused, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gint.plan import (
    Allocate,
    Call,
    Check,
    Constant,
    Define,
    Expect,
    Input,
    Item,
    Named,
    Operation,
    Release,
    SlotUse,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.verifier import PlanError, is_size_name, verify_plan
from tests.plan.saving import ROWS, plan

STEPS = plan().steps


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (STEPS[1:], "the size 'n' is not known there"),
        ((*STEPS[:2], *STEPS[3:]), "uses value 3, which nothing has made"),
        ((*STEPS[:4], Release((0, 2, 3)), *STEPS[5:]), "uses value 3, which has been released"),
        ((*STEPS, STEPS[2]), "value 3 is made a second time"),
        ((*STEPS, Release((1,))), "releases the constant 1"),
        ((*STEPS, Call(6, "aten.from_file.default", ("/etc/passwd",))), "not among the operators"),
        ((*STEPS, Call(6, "os.system.default", ("ls",))), "not among the operators"),
        ((*STEPS, View(6, 1, (4,), (1, 1), 0)), "1 sizes and 2 strides"),
        ((*STEPS[:3], replace(STEPS[3], program=1), *STEPS[4:]), "there is no program 1"),
        (
            (*STEPS[:3], replace(STEPS[3], slots=STEPS[3].slots[:2] + STEPS[3].slots[:1])),
            "writes into value 0, which is neither allocated nor state",
        ),
        ((*STEPS[:3], replace(STEPS[3], extents=(4,)), *STEPS[4:]), "axes, parameters and slots"),
        ((*STEPS[:3], replace(STEPS[3], device="cuda:0"), *STEPS[4:]), "a saved plan says 'cpu'"),
    ],
)
def test_a_plan_that_is_not_well_formed_is_refused(steps, reason):
    with pytest.raises(PlanError, match=reason):
        verify_plan(replace(plan(), steps=steps), ())


def test_further_operators_are_named():
    steps = (*STEPS, Call(6, "aten.linalg_inv.default", (Use(3), Named("dtype", "float32"))))
    verify_plan(replace(plan(), steps=steps), ("aten.linalg_inv.default",))


def test_sizes_are_bounded():
    size = Symbol("n")
    for _ in range(11):
        size = Operation("add", (size, size))
    with pytest.raises(PlanError, match="parts; 1024 is the most"):
        verify_plan(replace(plan(), steps=(*STEPS, View(6, 1, (size,), (1,), 0))), ())


ROW = TensorType("float32", (4,), (1,))


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Define("m", 9, ("size", 0)), "uses value 9, which nothing has made"),
        (Define("m", 3, ("size", 2)), "value 3 has no dimension 2"),
        (Define("n", 3, ("size", 0)), "the size n is known already"),
        (Define("n m", 3, ("size", 0)), "'n m' is no name for a size"),
        (Define("m", 3, ("device",)), "'device' is no way to a size"),
        (Define("m", 3, ("size", 0, "+01")), r"'\+01' is no way to a size"),
        (Check(Symbol("m"), ""), "the size 'm' is not known there"),
        (Allocate(6, replace(ROW, dtype="float31"), "cpu"), "no element type 'float31'"),
        (Allocate(6, replace(ROW, size=(-1,)), "cpu"), "-1 is no size or stride"),
        (Allocate(6, replace(ROW, strides=(1.0,)), "cpu"), "1.0 is no size or stride"),
        (Allocate(6, replace(ROW, size=((1 << 48) + 1,)), "cpu"), "too large for a size"),
        (Allocate(6, ROW, "cuda"), "for the device 'cuda'"),
        (Allocate(12, ROW, "cpu"), "the number 12 is larger than that of all values"),
        (Allocate(6, TensorType("float32", (1,) * 65, (1,) * 65), "cpu"), "65 sizes"),
        (Item(6, 9, 0), "uses value 9"),
        (View(6, 0, (4,), (1,), 0), "uses value 0, which has been released"),
        (Expect(9, ROW), "uses value 9"),
        (Release((3, 3)), "uses value 3, which has been released"),
        (Call(6, "aten.relu.default", (), (("a b", 1),)), "not among the operators"),
        (Call(6, "aten.mm.default", (), (("a b", 1),)), "an argument has no proper name"),
        (Call(6, "aten.mm.default", (slice(Symbol("m")),)), "the size 'm' is not known there"),
        (Call(5, "aten.mm.default", (), into=True), "writes into value 5"),
    ],
)
def test_a_step_that_must_not_run(step, reason):
    where = rf"step 8 \({type(step).__name__.lower()}\): "
    with pytest.raises(PlanError, match=f"the plan cannot be run: {where}.*{reason}"):
        verify_plan(replace(plan(), steps=(*STEPS, step)), ())


@pytest.mark.parametrize(
    ("slots", "reason"),
    [
        ((1, SlotUse(2, 16, 0, (1, 1))), "slot 'w' has 1 axes"),
        ((2, SlotUse(3, Symbol("m"), 0, (4, 1))), "the size 'm' is not known there"),
        ((0, SlotUse(4, 16, 0, (4, 1))), "uses value 4"),
    ],
)
def test_slots_of_a_launch(slots, reason):
    which, use = slots
    launch = STEPS[3]
    wrong = replace(launch, slots=(*launch.slots[:which], use, *launch.slots[which + 1 :]))
    with pytest.raises(PlanError, match=reason):
        verify_plan(replace(plan(), steps=(*STEPS[:3], wrong, *STEPS[4:])), ())


def test_a_slot_has_the_type_of_its_value():
    given = replace(plan(), inputs=(Input("x", replace(ROWS, dtype="float16")),))
    with pytest.raises(PlanError, match="slot 'x' of f32 is given float16"):
        verify_plan(given, ())


def test_inputs_that_are_state_may_be_written():
    launch = STEPS[3]
    steps = (*STEPS[:3], replace(launch, slots=(*launch.slots[:2], launch.slots[0])), *STEPS[4:])
    with pytest.raises(PlanError, match="writes into value 0"):
        verify_plan(replace(plan(), steps=steps), ())
    verify_plan(replace(plan(), steps=steps, inputs=(Input("x", ROWS, written=True),)), ())


def test_constants_have_sizes_of_their_own():
    with pytest.raises(PlanError, match="the constant 'w' has symbolic sizes"):
        verify_plan(replace(plan(), constants=(Constant("w", ROWS),)), ())


@pytest.mark.parametrize("result", [(Use(6),), ([Use(0)],), Use(3)])
def test_the_result_is_a_tuple_of_what_there_is(result):
    with pytest.raises(PlanError, match="the result: it"):
        verify_plan(replace(plan(), result=result), ())


@pytest.mark.parametrize(
    ("name", "is_name"),
    [("n", True), ("_s0", True), ("A" * 64, True), ("A" * 65, False), ("0n", False), ("", False)],
)
def test_names_of_sizes(name, is_name):
    assert is_size_name(name) is is_name
