"""What a plan counts is what its values hold."""

from dataclasses import replace

import numpy as np
import pytest

import gint
from gint.plan import Allocate, Call, Expect, Item, Operation, Release, TensorType, Use, View
from gint.plan.demands import demand_of
from gint.plan.memory import Memory

from .saving import N, plan, save

#: 32 GiB for every row.
LARGE = TensorType("float64", (N, 1 << 32), (1 << 32, 1))


def of_steps(*steps, result=()):
    """The plan of saving.py with these steps, after `n` is known."""
    return replace(plan(), steps=(plan().steps[0], *steps), result=result)


def rows(count):
    return TensorType("float32", (N, count), (count, 1))


def test_of_values_that_are_there_at_one_time():
    peak = Memory(plan()).peak({"n": 10})
    assert peak == 10 * 4 * 4 + 10 * 2 * 4  # y, and the product
    apart = of_steps(
        Allocate(2, rows(100), "cpu"), Release((2,)), Allocate(3, rows(60), "cpu"),
        Allocate(4, rows(50), "cpu"),
    )  # fmt: skip
    assert Memory(apart).peak({"n": 3}) == 3 * 4 * 110
    shown = of_steps(
        Allocate(2, rows(100), "cpu"), View(3, 2, (N,), (100,), 0), Release((2,)),
        Allocate(4, rows(60), "cpu"), Release((3,)), Allocate(5, rows(130), "cpu"),
    )  # fmt: skip
    assert Memory(shown).peak({"n": 3}) == 3 * 4 * 190


def test_of_what_operators_make_whatever_is_said_of_it():
    drawn = Call(2, "aten.randn.default", ([1 << 40],))
    small = Expect(2, TensorType("float32", (4,), (1,)))
    assert Memory(of_steps(drawn, small)).peak({"n": 1}) >= 4 << 40
    wide = View(2, 0, (N, 4, 1 << 30), (4, 1, 0), 0)
    sorted_ = Call(3, "aten.sort.default", (Use(2),))
    assert Memory(of_steps(wide, sorted_, Item(4, 3, 0))).peak({"n": 2}) >= 2 * 4 * (4 << 30)
    unknown = Call(3, "aten.mm.default", (Use(2), Use(2)))
    made = of_steps(Call(2, "aten.nonzero.default", (Use(0),)), unknown)
    assert Memory(made).unknown == {id(made.steps[2])}


def test_memory_that_is_given_is_that_of_the_result():
    product = Call(2, "aten.mm.default", (Use(0), Use(0)), into=True)
    memory = Memory(of_steps(Allocate(2, rows(4), "cpu"), product))
    assert memory.peak({"n": 4}) == 4 * 4 * 4
    with pytest.raises(ValueError, match=r"makes \(3, 4\), and is given memory for \(1, 4\)"):
        Memory(of_steps(Allocate(2, rows(4), "cpu"), View(3, 2, (1, 4), (4, 1), 0),
                        replace(product, value=3))).peak({"n": 3})  # fmt: skip


def test_of_the_sizes_that_it_depends_on():
    assert Memory(plan()).symbols == {"n"}
    assert not Memory(of_steps(View(2, 0, (4,), (1,), 0))).symbols


def test_a_bound_that_is_found_faster_is_no_less():
    """For sizes of as many bits it is one; what shrinks is counted as it is."""
    memory = Memory(plan())
    found = {n: memory.at_most({"n": n}) for n in (0, 1, 4, 5, 7, 1000)}
    assert all(most >= memory.peak({"n": n}) for n, most in found.items())
    assert found[4] == found[7] < found[1000]
    assert memory.at_most({"n": -1}) is memory.at_most({}) is None
    less = TensorType("float32", (Operation("add", (1000, Operation("mul", (-1, N)))),), (1,))
    assert Memory(of_steps(Allocate(2, less, "cpu"))).at_most({"n": 3}) == 997 * 4
    alike = [Allocate(v, rows(100), "cpu") for v in (2, 3, 4)]
    assert Memory(of_steps(*alike)).at_most({"n": 7}) >= 3 * 7 * 400


def test_a_file_that_takes_more_than_there_is_is_refused(tmp_path):
    x = np.ones((1000, 4), np.float32)
    for n, steps in enumerate((
        [Allocate(2, LARGE, "cpu")],
        [Call(2, "aten.randn.default", ([1 << 40],))],
        [View(2, 0, (1 << 40, 4), (0, 1), 0), Call(3, "aten.clone.default", (Use(2),))],
        [Call(2, "aten.constant_pad_nd.default", (Use(0), [0, 1 << 40]))],
        [Call(2, "aten.nonzero.default", (Use(0),)),
         Call(3, "aten.constant_pad_nd.default", (Use(2), [1 << 42, 1 << 42]))],
        [View(2, 0, (1 << 20, 1), (0, 0), 0), View(3, 0, (1, 1 << 20), (0, 0), 0),
         Call(4, "aten.mul.Tensor", (Use(2), Use(3)))],
        [View(2, 0, (1, 1 << 20, 4), (0, 0, 1), 0),
         Call(3, "aten.scaled_dot_product_attention.default", (Use(2), Use(2), Use(2)))],
        [View(2, 0, (1 << 24, 4), (0, 1), 0),
         *[Call(n, "aten.sort.default", (Use(2),)) for n in range(3, 203)]],
    )):  # fmt: skip
        made = of_steps(*steps, result=(Use(0), Use(0)))
        loaded = gint.load(save(tmp_path / f"{n}.gint", made))
        with pytest.raises(MemoryError, match=r"takes [\d,.]+ GiB, and .* are left here"):
            loaded(x)
    far = replace(plan().inputs[0], type=TensorType("float32", (N, 4), (1 << 40, 1)))
    loaded = gint.load(save(tmp_path / "far.gint", replace(plan(), inputs=(far,))))
    with pytest.raises(MemoryError, match="x in the strides"):
        loaded(x)


def test_of_arrays_the_one_that_is_written_into_has_to_fit():
    a, b = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)
    made = demand_of("aten.mm.default", (a, b), {})
    assert made == demand_of("aten.mm.default", (a, b), {"out": np.empty((3, 5), np.float32)})
    with pytest.raises(ValueError, match=r"makes \(3, 5\), and is given memory for \(5, 3\)"):
        demand_of("aten.mm.default", (a, b), {"out": np.empty((5, 3), np.float32)})
