import pytest

pytest.importorskip("torch")

from gint.conductor.plan.releases import with_releases
from gint.plan import Call, Item, Release, Use

pytestmark = pytest.mark.torch


def call(value: int, *used: int) -> Call:
    return Call(value, "aten.relu.default", tuple(Use(n) for n in used))


def test_a_value_is_released_after_the_block_that_uses_it_last():
    blocks = [[call(1, 0)], [call(2, 1), call(3, 0)], [call(4, 2)]]
    assert with_releases(blocks, (Use(3), Use(4))) == (
        *(call(1, 0), call(2, 1), call(3, 0), Release((0, 1))),
        call(4, 2),
    )


def test_what_is_returned_is_kept():
    blocks = [[call(1, 0)], [Item(3, 2, 0)], []]
    assert with_releases(blocks, (Use(1), [Use(0)])) == (
        call(1, 0),
        Item(3, 2, 0),
        Release((2, 3)),
    )


def test_constants_are_held():
    blocks = [[call(2, 0, 1)], [call(3, 2)]]
    assert with_releases(blocks, (Use(3),), held=(1,))[1] == Release((0,))
