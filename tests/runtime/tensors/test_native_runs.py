"""Runs of a plan's steps as native calls: each kind of step gives what torch's operator gives."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.plan import (
    Allocate,
    Call,
    Expect,
    Input,
    Item,
    Plan,
    Release,
    Step,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.runtime.tensors.native_runs import native_run
from gint.runtime.tensors.placement import place
from gint.runtime.tensors.runs import ATTENTION, CONVOLUTION, Run, joins_of, split, types_of
from gint.runtime.tensors.torch_shim import native_with_torch

native = native_with_torch()
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(native is None, reason="no native module, or a torch without its C shim"),
]


def type_of(t: torch.Tensor) -> TensorType:
    return TensorType(str(t.dtype).removeprefix("torch."), tuple(t.shape), t.stride())


def carried_out(
    steps: list[Step], tensors: list[torch.Tensor], *result: int, **sizes: int
) -> list[torch.Tensor]:
    """The values `result` of a plan whose steps are one run; values 0 and on are the tensors."""
    inputs = tuple(Input(f"x{n}", type_of(t)) for n, t in enumerate(tensors))
    plan = Plan(inputs, (), (), tuple(steps), tuple(Use(v) for v in result))
    placement, types = place(plan), types_of(plan)
    items = split(plan, placement, (), (), plan.steps)
    values = dict(enumerate(tensors))
    for step in items:
        if isinstance(step, Allocate):
            values[step.value] = _empty(step.type)
    (run,) = [item for item in items if isinstance(item, Run)]
    fixed = {value: _empty(spot.type) for value, spot in placement.spots.items()}
    call = native_run(
        native.RunSteps, run, {}, fixed, types, joins_of(plan, types), packed={}, copied={}
    )
    made = call(*[values[v] for v in run.inputs], *[sizes[e.name] for e in run.sizes])
    outputs = (made,) if len(run.outputs) == 1 else made or ()
    values.update(zip(run.outputs, outputs, strict=True))
    return [values[v] for v in result]


def _empty(kind: TensorType) -> torch.Tensor:
    dtype = getattr(torch, kind.dtype)
    return torch.empty_strided(kind.size, kind.strides, dtype=dtype).fill_(float("nan"))


def into(value: int, size: tuple[int, ...], operator: str, *of: int) -> list[Step]:
    """A product that is written into memory that is allocated for it."""
    kind = type_of(torch.empty(size))
    args = tuple(Use(v) for v in of)
    return [Allocate(value, kind, "cpu"), Call(value, operator, args, into=True)]


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (5, 7, 3), (0, 4, 2), (3, 0, 2)])
def test_products(rows, inner, columns):
    a, b, c = torch.randn(rows, inner), torch.randn(inner, columns), torch.randn(columns)
    d = torch.randn(rows, columns)
    (found,) = carried_out(into(2, (rows, columns), "aten.mm.default", 0, 1), [a, b], 2)
    torch.testing.assert_close(found, a @ b)
    for added in (c, d):  # a row for all rows, and a matrix
        steps = into(3, (rows, columns), "aten.addmm.default", 0, 1, 2)
        (found,) = carried_out(steps, [added, a, b], 3)
        torch.testing.assert_close(found, torch.addmm(added, a, b))
    batches = [t.expand(2, -1, -1).contiguous() for t in (a, b)]
    steps = into(2, (2, rows, columns), "aten.bmm.default", 0, 1)
    (found,) = carried_out(steps, batches, 2)
    torch.testing.assert_close(found, torch.bmm(*batches))


def test_what_lies_between_two_products_is_the_runs_own():
    a, b = torch.randn(3, 4), torch.randn(4, 4)
    steps = [
        *into(2, (3, 4), "aten.mm.default", 0, 1),
        *into(3, (3, 4), "aten.mm.default", 2, 1),
        Release((2,)),
    ]
    (found,) = carried_out(steps, [a, b], 3)
    torch.testing.assert_close(found, a @ b @ b)


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_views_are_of_the_sizes_of_the_call(rows):
    x, w = torch.randn(6, 8), torch.randn(4, 4)
    n = Symbol("n")
    steps = [
        View(2, 0, (3, 4), (8, 2), 1),
        *into(3, (3, 4), "aten.mm.default", 2, 1),
        View(4, 0, (n, 2), (8, 1), n),
    ]
    product, view = carried_out(steps, [x, w], 3, 4, n=rows)
    torch.testing.assert_close(product, x.as_strided((3, 4), (8, 2), 1) @ w)
    torch.testing.assert_close(view, x.as_strided((rows, 2), (8, 1), rows), rtol=0, atol=0)


def convolution(value: int, x: int, weight: int, bias: int) -> Call:
    args = (Use(x), Use(weight), Use(bias), [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    return Call(value, CONVOLUTION, args)


def test_results_are_brought_into_the_strides_that_are_expected():
    x, weight, bias = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3), torch.randn(4)
    for strides in ((144, 36, 6, 1), (144, 1, 24, 4)):
        kind = TensorType("float32", (1, 4, 6, 6), strides)
        steps = [convolution(3, 0, 1, 2), Expect(3, kind)]
        (found,) = carried_out(steps, [x, weight, bias], 3)
        assert found.stride() == strides
        torch.testing.assert_close(found, torch.conv2d(x, weight, bias))


@pytest.mark.parametrize("dimension", [0, 1, -1])
def test_joins(dimension):
    sizes = [[2, 3, 4] for _ in range(3)]
    for n, size in enumerate(sizes):
        size[dimension] = n  # nothing, one, two
    parts = [torch.randn(size) for size in sizes]
    join = Call(3, "aten.cat.default", ([Use(0), Use(1), Use(2)], dimension))
    (found,) = carried_out([join], parts, 3)
    torch.testing.assert_close(found, torch.cat(parts, dimension), rtol=0, atol=0)


@pytest.mark.parametrize("how", ["plain", "causal", "mask", "scale"])
def test_attention_makes_its_first_result_alone(how):
    q, k, v = (torch.randn(2, 3, 5, 8) for _ in range(3))
    mask = torch.randn(2, 3, 5, 5)
    args: tuple = (Use(0), Use(1), Use(2), 0.0, how == "causal")
    kwargs = {"mask": (("attn_mask", Use(3)),), "scale": (("scale", 0.3),)}.get(how, ())
    steps = [Call(4, ATTENTION, args, kwargs), Item(5, 4, 0)]
    (found,) = carried_out(steps, [q, k, v, mask], 5)
    wanted = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, mask if how == "mask" else None, is_causal=how == "causal",
        scale=0.3 if how == "scale" else None,
    )  # fmt: skip
    torch.testing.assert_close(found, wanted)


def test_an_operators_own_words_are_raised():
    steps = into(2, (3, 2), "aten.mm.default", 0, 1)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        carried_out(steps, [torch.randn(3, 4), torch.randn(5, 2)], 2)
