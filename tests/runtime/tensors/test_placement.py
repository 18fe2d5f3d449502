"""Placement of values in a frame: what may lie there, and that lives which overlap do not share."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("torch")

from gint.plan import Allocate, Call, Item, Plan, Release, TensorType, Use, View
from gint.runtime.tensors.placement import place

pytestmark = pytest.mark.torch
SMALL = TensorType("float32", (4, 4), (4, 1))


def plan_of(*steps, result=()) -> Plan:
    return Plan((), (), (), tuple(steps), tuple(Use(v) for v in result))


def allocate(value: int, kind: TensorType = SMALL, device: str = "cpu") -> Allocate:
    return Allocate(value, kind, device)


def product(value: int, *of: int, operator: str = "aten.mm.default", into: bool = True) -> Call:
    return Call(value, operator, tuple(Use(v) for v in of), into=into)


def test_what_is_returned_or_shown_lies_elsewhere():
    view = View(3, 2, (16,), (1,), 0)
    plan = plan_of(
        *(allocate(n) for n in (0, 1, 2, 4)), product(1, 0, 0), view, product(2, 1, 1),
        product(5, 4, operator="aten.view.default", into=False), result=(1, 3),
    )  # fmt: skip
    assert set(place(plan).spots) == {0}


def test_views_of_what_lies_in_the_frame_do_too():
    plan = plan_of(
        allocate(0), View(1, 0, (16,), (1,), 0), product(2, 1, 1, into=False), result=(2,)
    )
    placement = place(plan)
    assert set(placement.views) == {1}
    assert placement.holds(0)
    assert placement.holds(1)
    assert not placement.holds(2)


@pytest.mark.parametrize(
    ("kind", "device"),
    [
        (TensorType("float32", (1024, 1024), (1024, 1)), "cpu"),
        (TensorType("float32", (0, 4), (4, 1)), "cpu"),
        (SMALL, "cuda:0"),
    ],
)
def test_what_is_large_or_empty_or_elsewhere_does_not(kind: TensorType, device: str):
    assert not place(plan_of(allocate(0, kind, device), product(1, 0, 0, into=False))).spots


def test_what_somebody_asks_something_of_does_not():
    assert not place(plan_of(allocate(0), Item(1, 0, 0))).spots


@pytest.mark.parametrize("name", ["slice_scatter", "select_scatter", "diagonal_scatter"])
def test_what_is_copied_with_all_its_storage_does_not(name: str):
    call = Call(2, f"aten.{name}.default", (Use(0), Use(1)))
    assert not place(plan_of(allocate(0), allocate(1), call, result=(2,))).spots


def test_lives_that_overlap_share_no_memory():
    choose = random.Random(0)
    for _ in range(50):
        steps, alive, lives = [], [], {}
        for value in range(30):
            rows = choose.randint(1, 40)
            steps.append(allocate(value, TensorType("float32", (rows, 4), (4, 1))))
            alive.append(value)
            used = choose.sample(alive, min(2, len(alive)))
            steps.append(product(value, *used))
            for v in (value, *used):
                lives[v] = (lives.get(v, (len(steps) - 2,))[0], len(steps) - 1)
            if len(alive) > 4:
                gone = alive.pop(choose.randrange(4))
                steps.append(Release((gone,)))
        placement = place(plan_of(*steps))
        assert len(placement.spots) == 30
        extents = {
            v: (s.offset, s.offset + s.type.size[0] * 16) for v, s in placement.spots.items()
        }
        assert max(end for _, end in extents.values()) <= placement.nbytes
        for a in lives:
            for b in lives:
                at_once = a != b and lives[a][0] <= lives[b][1] and lives[b][0] <= lives[a][1]
                apart = extents[a][1] <= extents[b][0] or extents[b][1] <= extents[a][0]
                assert apart or not at_once
        assert placement.nbytes < 30 * 640
