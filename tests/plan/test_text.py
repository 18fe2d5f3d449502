"""Saved functions as people read them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gint.plan import (
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
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.file import open_saved
from gint.plan.text import describe, steps_text, type_text
from tests.plan.saving import ROWS, plan, save

N = Symbol("n")


def test_a_plan_as_text(tmp_path):
    text = describe(open_saved(save(tmp_path / "a.gint")))
    assert "x: float32[n, 4]" in text
    assert "launch program 0 (i = n, j = 4): x a0, w v2, y v3" in text
    assert "v5 <- aten.mm.default(v3, v4)" in text
    assert "mul.f32 r[2] <- r[0] * r[1]" in text


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Define("m", 0, ("size", 1, "//2")), "m <- a0 size 1 //2"),
        (Check(Operation("gt", (N, 2)), "Too few."), "check n > 2: Too few."),
        (Item(6, 5, 1), "v6 <- v5[1]"),
        (View(6, 1, (N, 4), (4, 1), 8), "v6 <- view w1 [n, 4] strides (4, 1) offset 8"),
        (Expect(5, ROWS), "expect v5 float32[n, 4]"),
        (Release((0, 3)), "release a0, v3"),
        (
            Call(
                3,
                "aten.f.out",
                ([Use(0)], {"k": None}, (N, 1.5)),
                (("t", Named("dtype", "x")),),
                True,
            ),
            "v3 <- into aten.f.out([a0], {k: None}, (n, 1.5), t=x)",
        ),
    ],
)
def test_a_step_as_a_line(step, line):
    made = replace(plan(), steps=(step,), result=(Use(3), None))
    assert steps_text(made) == f"{line}\nreturn (v3, None)\n"


def test_types():
    assert type_text(TensorType("int64", (), ())) == "int64[]"
    assert type_text("float") == "float"
    assert type_text(None) == "None"


def test_what_is_written_into_is_said(tmp_path):
    state = replace(
        plan(), inputs=(Input("x", ROWS, written=True),),
        constants=(Constant("w", plan().constants[0].type, written=True),),
    )  # fmt: skip
    text = describe(open_saved(save(tmp_path / "a.gint", state)))
    assert "x: float32[n, 4], written into" in text
    assert "w1  w  float32[2, 4]  state" in text
    assert text.startswith("a.gint: 1 programs, 1 launches, 1 calls of operators\n")
