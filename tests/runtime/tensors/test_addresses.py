"""Which values of a run are memory alone, and where they lie."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from gint.plan import Call, Expect, Foreign, Launch, Release, TensorType, Use, View
from gint.plan.model import SlotUse
from gint.runtime.tensors.addresses import Addresses, dense
from gint.runtime.tensors.runs import Run

pytestmark = pytest.mark.torch

SIZE = (1, 48)
FOREIGN = Foreign("a product of rows")


def product(value: int, x: int) -> Call:
    return Call(value, FOREIGN, (Use(x), None, 0, True))


def view(value: int, of: int, offset: int = 16) -> View:
    return View(value, of, (1, 32), (48, 1), offset)


def launch(*values: int, on_copies: bool = False) -> Launch:
    slots = tuple(SlotUse(v, 4, 0, ()) for v in values)
    return Launch(0, (), (), slots, "cpu", on_copies)


def found(*steps: object, outputs: tuple[int, ...] = ()) -> Addresses:
    run = Run(steps=list(steps), outputs=list(outputs))
    products = {s.value: SIZE for s in steps if isinstance(s, Call)}
    kind = TensorType("float32", SIZE, dense(SIZE))
    views = {s.value: kind for s in steps if isinstance(s, View)}
    return Addresses(run, products, views)


def test_what_launches_and_products_take_is_memory():
    a = found(product(1, 0), launch(1, 9), view(2, 1), product(3, 2), Release((1,)), outputs=(3,))
    assert a.offsets == {1: 0}
    assert a.behind == {2: 64}


@pytest.mark.parametrize(
    "steps",
    [
        (launch(1, on_copies=True),),
        (Expect(1, TensorType("float32", SIZE, (96, 2))),),
        (view(2, 1), Expect(2, TensorType("float32", SIZE, dense(SIZE)))),
        (Call(2, "aten.neg.default", (Use(1),)),),
    ],
)
def test_what_torch_is_given_is_a_tensor(steps):
    a = found(product(1, 0), *steps)
    assert 1 not in a.offsets
    assert not a.behind


def test_a_view_that_outlives_what_it_is_of_keeps_it():
    a = found(product(1, 0), view(2, 1), Release((1,)), launch(2))
    assert not a.behind
    assert not a.offsets
    assert not found(product(1, 0), view(2, 1), view(3, 2), launch(3)).behind


def test_what_is_released_gives_its_place_to_another():
    a = found(product(1, 0), product(2, 0), launch(1, 2), Release((1,)), product(3, 2), launch(3))
    assert a.offsets == {1: 0, 2: 192, 3: 0}


def test_strides_that_a_product_gives_are_not_expected():
    a = found(product(1, 0))
    assert a.is_expected(Expect(1, TensorType("float32", SIZE, dense(SIZE))))
    assert not a.is_expected(Expect(1, TensorType("float32", SIZE, (1, 1))))
    assert not a.is_expected(Expect(5, TensorType("float32", SIZE, dense(SIZE))))
    assert dense((2, 0, 3)) == (3, 3, 1)
