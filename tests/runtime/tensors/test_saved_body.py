"""Saved functions on tensors as native runs, and what of a plan from anywhere is kept out of them.

Beside eager; and, where a plan says what is not true, it is refused, one step at a time or not.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import gint
from gint.conductor import export
from gint.plan import Allocate, Call, Expect, Input, Launch, Plan, Step, TensorType, Use
from gint.plan.file import Saved, write
from gint.plan.signature import Signature
from gint.runtime.function import Running
from gint.runtime.tensors.torch_shim import native_with_torch

native = native_with_torch()
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(native is None, reason="no native module, or a torch without its C shim"),
]


def floats(*size: int) -> TensorType:
    return TensorType("float32", size, torch.empty(size).stride())


def net(x, w, b):
    """A convolution, a product of a row for all rows, attention, and what comes between."""
    y = torch.nn.functional.conv2d(x, w, b).relu()
    y = torch.addmm(b, y.flatten(2).transpose(1, 2)[0], y[0, :, 0, :4])
    q = y.sigmoid()[None, None]
    return torch.nn.functional.scaled_dot_product_attention(q, q + 1, q).tanh(), y * 2


def tensors() -> list[torch.Tensor]:
    return [torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3), torch.randn(4)]


def saved(tmp_path, function: Any, args: Any, **how: Any) -> tuple[Any, Running]:
    export(function, tuple(args), path=tmp_path / "f.gint", with_torch=True, **how)
    loaded = gint.load(tmp_path / "f.gint")
    with torch.no_grad():
        loaded(*args)
    return loaded, loaded._on_tensors


def test_the_steps_are_one_body_and_give_what_eager_gives(tmp_path):
    loaded, running = saved(tmp_path, net, tensors())
    assert len(running.steps) == 2  # after the memory was asked for
    calls = [tensors() for _ in range(6)]
    found = [loaded(*args) for args in calls]
    with ThreadPoolExecutor(3) as pool:
        found += pool.map(lambda args: loaded(*args), calls)
    for args, results in zip([*calls, *calls], found, strict=True):
        for a, b in zip(results, net(*args), strict=True):
            torch.testing.assert_close(a, b)


def test_sizes_that_are_free_go_step_by_step(tmp_path):
    sizes = {"x": {0: torch.export.Dim.DYNAMIC}}
    loaded, running = saved(
        tmp_path, lambda x: x.exp() @ x.T, [torch.randn(3, 4)], dynamic_shapes=sizes
    )
    assert len(running.steps) > 2
    for n in (3, 1, 0, 7):
        x = torch.randn(n, 4)
        torch.testing.assert_close(loaded(x), x.exp() @ x.T)


def test_lazily_negative_values_reach_no_run(tmp_path):
    def function(x, y):
        return torch.view_as_complex(x).conj().imag @ y, (x + 1).sum(-1)

    x, y = torch.randn(4, 4, 2), torch.randn(4, 4)
    loaded, _ = saved(tmp_path, function, [x, y])
    for a, b in zip(loaded(x, y), function(x, y), strict=True):
        torch.testing.assert_close(a, b)


def with_launch(tmp_path, steps: list[Step], *sizes: tuple[int, ...]) -> Any:
    """A file whose plan has these steps on inputs of these sizes, after a launch on one more; it
    returns the values 4 and 3."""
    export(lambda x: x.exp(), (torch.randn(2, 2),), path=tmp_path / "exp.gint")
    exp = gint.load(tmp_path / "exp.gint").plan
    allocate = next(s for s in exp.steps if isinstance(s, Allocate))
    launch = next(s for s in exp.steps if isinstance(s, Launch))
    places = {0: 2, allocate.value: 3}
    slots = tuple([replace(slot, value=places[slot.value]) for slot in launch.slots])
    first = replace(allocate, value=3), replace(launch, slots=slots)
    inputs = tuple([Input(f"x{n}", floats(*size)) for n, size in enumerate([*sizes, (2, 2)])])
    plan = Plan(inputs, (), exp.programs, (*first, *steps), (Use(4), Use(3)))
    given, names = tuple(map(Use, range(3))), tuple([x.name for x in inputs])
    signature = Signature(given, names, {}, (Use(0), Use(1)))
    write(tmp_path / "made.gint", Saved(plan, signature, ()), False)
    return gint.load(tmp_path / "made.gint")


def convolution(value: int, *args: Any) -> Call:
    rest = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    return Call(value, "aten.convolution.default", (*args, *rest))


def images() -> list[torch.Tensor]:
    return [torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3), torch.randn(2, 2)]


def test_an_operators_result_is_what_the_plan_says(tmp_path):
    args = images()
    steps = [convolution(4, Use(0), Use(1), None), Expect(4, floats(1, 4, 6, 6))]
    found, exp = with_launch(tmp_path, steps, (1, 3, 8, 8), (4, 3, 3, 3))(*args)
    torch.testing.assert_close(found, torch.conv2d(*args[:2]))
    torch.testing.assert_close(exp, args[2].exp())


@pytest.mark.parametrize(
    "said",
    [
        [floats(1, 4, 6, 7)],
        [floats(4, 6, 6)],
        [TensorType("int32", (1, 4, 6, 6), (144, 36, 6, 1))],
        [floats(1, 4, 6, 6), floats(1, 4, 7, 6)],  # one step at a time
    ],
)
def test_a_plan_that_says_otherwise_is_refused(tmp_path, said):
    steps = [convolution(4, Use(0), Use(1), None), *[Expect(4, kind) for kind in said]]
    loaded = with_launch(tmp_path, steps, (1, 3, 8, 8), (4, 3, 3, 3))
    with pytest.raises(ValueError, match="An operator made"):
        loaded(*images())


def test_numbers_are_not_taken_for_values(tmp_path):
    loaded = with_launch(
        tmp_path,
        [Allocate(4, floats(2, 2), "cpu"), Call(4, "aten.mm.default", (2, Use(1)), into=True)],
        (2, 2),
        (2, 2),
    )
    with pytest.raises((TypeError, ValueError)):
        loaded(*[torch.randn(2, 2) for _ in range(3)])


@pytest.mark.parametrize("size", [(3, 9), (300, 500), (1, 1)])
def test_products_are_written_into_memory_that_fits(tmp_path, size):
    call = Call(4, "aten.mm.default", (Use(0), Use(1)), into=True)
    loaded = with_launch(tmp_path, [Allocate(4, floats(*size), "cpu"), call], (300, 4), (4, 5))
    with pytest.raises(ValueError, match="is given memory for"):
        loaded(torch.randn(300, 4), torch.randn(4, 5), torch.randn(2, 2))
