"""Operations on arrays that remember their calls, whatever they compute."""

from __future__ import annotations

from contextvars import ContextVar

import numpy as np
import pytest

from gint.backend import registry
from gint.backend.errors import DIVISION_BY_ZERO
from gint.host import memory
from gint.host.recall import note_launch, recalled

pytestmark = pytest.mark.cpp


class Scaling:
    """An operation on arrays that counts how often it goes the long way."""

    def __init__(self) -> None:
        self.long_ways, self.flag = 0, 0
        self.chosen: ContextVar = ContextVar("chosen", default=None)
        self.call = recalled(self._scale, self.chosen, registry.backend("cpp"))

    def _scale(self, x, factor=2.0, *, out=None, twice=False, check=False):
        self.long_ways += 1
        result = memory.empty(x.shape, x.dtype) if out is None else out

        def launch(x, y):
            np.multiply(x, factor, out=y)
            return self.flag

        for _ in range(1 + twice):
            launch(x, result)
            note_launch(launch, (x, result), check_overlap=check)
        return result


@pytest.fixture
def scaling() -> Scaling:
    return Scaling()


X = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_a_call_of_the_same_layout_launches_alone(scaling):
    for x in (X, X + 1, X * 3):
        np.testing.assert_array_equal(scaling.call(x), 2 * x)
    assert scaling.long_ways == 1


@pytest.mark.parametrize(
    "other",
    [(X[:2],), (X.T,), (X[::-1],), (X.astype(np.float16),), (X, 3.0), (X, 2)],
    ids=range(6),
)
def test_another_layout_or_value_has_another_key(scaling, other):
    scaling.call(X)
    scaling.call(*other)
    assert scaling.long_ways == 2


def test_factors_that_are_equal_may_not_be_the_same(scaling):
    for factor in (0.0, -0.0, 0.0, -0.0):
        assert np.all(np.signbit(scaling.call(X, factor)) == np.signbit(factor))
    assert scaling.long_ways == 2


def test_the_backend_chosen_belongs_to_the_key(scaling):
    for name in ("cpp", "python", "cpp", "python"):
        scaling.chosen.set(registry.backend(name))
        scaling.call(X)
    assert scaling.long_ways == 2


def test_results_are_new_and_an_out_is_what_was_given(scaling):
    assert not np.shares_memory(scaling.call(X), scaling.call(X))
    for _ in range(3):
        out = np.empty_like(X)
        assert scaling.call(X, out=out) is out
        np.testing.assert_array_equal(out, 2 * X)
    assert scaling.long_ways == 2


def test_large_results_come_from_the_pool(scaling):
    x = np.ones(memory.POOLED_BYTES // 4, np.float32)
    scaling.call(x)
    assert scaling.call(x).base is not None
    assert scaling.long_ways == 1


def test_calls_with_several_launches_or_none_go_the_long_way(scaling):
    for _ in range(2):
        scaling.call(X, twice=True)
    assert scaling.long_ways == 2


def test_subclasses_and_other_objects_have_no_key(scaling):
    class Mine(np.ndarray):
        pass

    for _ in range(2):
        scaling.call(X.view(Mine))
    assert scaling.long_ways == 2


def test_a_launch_that_asks_for_it_is_not_recalled_where_its_result_overlaps(scaling):
    line = np.arange(12, dtype=np.float32)
    scaling.call(line[:4], out=line[8:], check=True)
    scaling.call(line[:4], out=line[6:10], check=True)
    assert scaling.long_ways == 1
    scaling.call(line[:4], out=line[3:7], check=True)
    assert scaling.long_ways == 2


def test_the_flag_of_a_recalled_launch_is_raised(scaling):
    scaling.call(X)
    scaling.flag = DIVISION_BY_ZERO
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        scaling.call(X)
    assert scaling.long_ways == 1


def test_what_raises_is_not_remembered(scaling):
    for _ in range(2):
        with pytest.raises(AttributeError):
            scaling.call([1.0])
    assert scaling.long_ways == 2
