"""What belongs to a frame: tensors in its block, views of them, runs on them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.plan import Allocate, Call, Input, Plan, TensorType, Use, View
from gint.runtime.tensors.frame_contents import Contents, Known, shown_in
from gint.runtime.tensors.placement import place
from gint.runtime.tensors.runs import Run, split, types_of
from gint.runtime.tensors.torch_shim import native_with_torch

native = native_with_torch()
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(native is None, reason="no native module, or a torch without its C shim"),
]
SQUARE = TensorType("float32", (3, 3), (3, 1))


def test_runs_and_what_is_shown_lie_in_the_block():
    steps = (
        Allocate(1, SQUARE, "cpu"),
        Call(1, "aten.mm.default", (Use(0), Use(0)), into=True),
        View(2, 1, (3,), (3,), 1),
        Call(3, "aten.cumsum.default", (Use(2), 0)),
    )
    plan = Plan((Input("x", SQUARE),), (), (), steps, (Use(3),))
    placement = place(plan)
    items = split(plan, placement, (), (), plan.steps)
    runs, shown = [item for item in items if isinstance(item, Run)], shown_in(items, placement)
    assert (len(runs), shown) == (1, [2])
    known = Known(types_of(plan), {}, {}, {})
    make = Contents(native.RunSteps, runs, {}, placement, shown, known)
    block, x = torch.zeros(1 << 16, dtype=torch.uint8), torch.randn(3, 3)
    run, column = make(block)
    run(x)
    torch.testing.assert_close(column, (x @ x)[:, 1])
    assert block.data_ptr() <= column.data_ptr() < block.data_ptr() + len(block)
