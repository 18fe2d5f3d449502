"""A program's axes: where values of which shape find their place in them."""

import pytest

pytest.importorskip("torch")

from gint.conductor.graph.indexing import FIXED, Index, SplitNeededError, along
from gint.conductor.lowering.domain import Domain
from gint.host.frontend import Builder
from gint.program import AxisKind

pytestmark = pytest.mark.torch


def domain(*shape: int, splits: dict | None = None) -> Domain:
    made = Domain(Builder(), splits or {})
    made.begin(shape)
    return made


def kinds(d: Domain) -> list[str]:
    return ["r" if axis.kind is AxisKind.REDUCED else "p" for axis in d.builder.axes]


def test_sizes_of_one_get_no_axis() -> None:
    d = domain(4, 1, 6)
    assert d.extents == [4, 6]
    assert d.map_for((4, 1, 6)) == (along(0), FIXED, along(1))
    assert d.map_for((1, 4, 6, 1)) == (FIXED, along(0), along(1), FIXED)


def test_a_shape_of_other_sizes_does_not_fit() -> None:
    assert domain(4, 6).map_for((6, 4)) is None
    assert domain(4, 6).map_for((4,)) is None


def test_the_first_reduction_makes_reduced_axes() -> None:
    d = domain(4)
    assert d.reduction_map((4, 6), [1], (along(0),)) == (along(0), along(1))
    assert kinds(d) == ["p", "r"]
    assert d.map_for((4, 6)) == (along(0), along(1))
    assert d.map_for((4,)) == (along(0),)


def test_a_reduced_dimension_in_front_comes_first_in_the_order() -> None:
    d = domain(4)
    assert d.reduction_map((6, 4), [0], (along(0),)) == (along(1), along(0))
    assert d.map_for((6, 4)) == (along(1), along(0))
    assert d.map_for((4, 6)) is None


def test_a_reduction_of_a_value_that_runs_along_all_axes_reduces_some_of_them() -> None:
    d = domain(4, 6)
    assert d.reduction_map((4, 6), [1], (along(0),)) == (along(0), along(1))
    assert kinds(d) == ["p", "r"]


def test_a_later_reduction_reduces_the_same_axes_or_none() -> None:
    d = domain(4, 6)
    first = d.reduction_map((4, 6), [1], (along(0),))
    assert d.reduction_map((4, 6), [1], (along(0),)) == first
    assert d.reduction_map((4, 6), [0], (along(1),)) is None
    assert d.reduction_map((4, 5), [1], (along(0),)) is None


def test_a_reduction_over_dimensions_of_size_one_needs_no_axis() -> None:
    d = domain(4)
    assert d.reduction_map((4, 1), [1], (along(0),)) == (along(0), FIXED)
    assert kinds(d) == ["p"]


def test_one_axis_cannot_carry_two_kept_dimensions() -> None:
    d = domain(4)
    assert d.reduction_map((4, 4, 6), [2], (along(0), along(0))) is None


def test_a_split_axis_is_two_at_the_next_attempt() -> None:
    d = domain(12, 5)
    d.split(SplitNeededError(0, 4))
    again = domain(12, 5, splits=d.splits)
    assert again.extents == [4, 3, 5]  # the inner part first
    assert again.map_for((12, 5)) == (Index(0, ((0, 1), (1, 4))), along(2))
    again.split(SplitNeededError(1, 3))
    assert again.splits[0] == (1, 3, 4)
