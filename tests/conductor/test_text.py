"""How a graph becomes a plan, as `explain` has it: nodes, units, values."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.explaining import explain_call

pytestmark = pytest.mark.torch


def explained(function, *args):
    with torch.no_grad():
        (graph,) = explain_call(function, args, {}, {"backend": "python", "check": True}).graphs
    return graph


def test_every_node_is_a_line_with_its_kind():
    def f(x, w):
        y, _ = torch.max(x * w, -1)
        return torch.lgamma(y) @ w[:4]

    assert (
        explained(f, torch.randn(4, 8), torch.randn(8)).nodes
        == """\
input     arg0_1                                       f32[4, 8]
input     arg1_1                                       f32[8]
compute   mul      aten.mul.Tensor(arg0_1, arg1_1)     f32[4, 8]
tuple     max_1    aten.max.dim(mul, -1)               f32[4], i64[4]
compute   getitem  max_1[0]                            f32[4]
fallback  lgamma   aten.lgamma.default(getitem)        f32[4]
view      slice_1  aten.slice.Tensor(arg1_1, 0, 0, 4)  f32[4]
extern    dot      aten.dot.default(lgamma, slice_1)   f32[]
output    output   (dot)
"""
    )


def test_units_say_what_their_slots_show():
    def f(x, w):
        return (x.t()[1:] + 1) @ w

    assert (
        explained(f, torch.randn(4, 8), torch.randn(4, 5)).units
        == """\
launch  add
  in1   arg0_1  (x0, x1)  strides (1, 8)  offset 1
  out2  add     (x0, x1)  strides (1, 7)
call    mm
"""
    )


def test_values_are_asked_for_at_positions():
    def f(x):
        return (x * 2).flip(0)[1:].sum(-1, keepdim=True) + x[0, 0]

    (text,) = explained(f, torch.randn(4, 8)).values
    assert (
        text
        == """\
add               at (x0, .)
  sum_1           at (x0, .)
    slice_1       at (x0, x1)
      flip        at (x0 + 1, x1)
        mul       at (-1*x0 + 2, x1)
          arg0_1  at (-1*x0 + 2, x1)  load
  select_1        at ()               load
"""
    )


def test_a_view_that_cuts_an_axis_has_its_values_at_both():
    def f(x):
        return (x * 2).reshape(4, 5, 2).sum(1)

    (text,) = explained(f, torch.randn(4, 10)).values
    assert (
        text
        == """\
sum_1         at (x0, x1)
  view        at (x0, x2, x1)
    mul       at (x0, x1 + 2*x2)
      arg0_1  at (x0, x1 + 2*x2)  load
"""
    )


def test_values_of_a_program_with_a_split_axis():
    (text,) = explained(lambda x: x.repeat_interleave(2, 0) + 1, torch.randn(4, 6)).values
    loaded = text.splitlines()[-1].split()
    assert loaded[0] == "expand"
    assert loaded[-1] == "load"


def test_symbolic_sizes_are_named():
    x = torch.randn(6, 3)
    torch._dynamo.mark_dynamic(x, 0)
    graph = explained(lambda x: x[:, 1] * 2, x)
    assert "f32[s77, 3]" in graph.nodes
    assert "strides (3)  offset 1" in graph.units


def test_joined_pieces_cut_an_axis():
    def function(x, y):
        return torch.cat([x * 2, y + 1])

    (values,) = explained(function, torch.ones(3, 4), torch.ones(3, 4)).values
    assert "mul" in values
    assert "add" in values
