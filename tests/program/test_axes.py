"""Merging axes: fewer of them, the same elements in the same slots."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from gint.program.axes import StridedAxis, merge_axes


def axes(extents, *strides):
    """An axis each, with a stride per slot."""
    return [StridedAxis(e, tuple(s[a] for s in strides), (a,)) for a, e in enumerate(extents)]


def points(axes) -> list[tuple[int, ...]]:
    """What every slot steps to, for each point."""
    slots = range(len(axes[0].steps)) if axes else ()
    return sorted(
        tuple(sum(p * a.steps[n] for p, a in zip(point, axes, strict=True)) for n in slots)
        for point in product(*(range(a.extent) for a in axes))
    )


def test_contiguous_axes_become_one():
    assert merge_axes(axes((6, 5, 4), (20, 4, 1), (20, 4, 1))) == [
        StridedAxis(120, (1, 1), (0, 1, 2))
    ]


def test_what_one_slot_steps_through_otherwise_stays():
    found = merge_axes(axes((6, 5, 4), (20, 4, 1), (0, 4, 1)))
    assert [a.sources for a in found] == [(0,), (1, 2)]


def test_fixed_axes_stay_and_those_of_one_position_go():
    assert [a.sources for a in merge_axes(axes((6, 1, 4), (4, 9, 1)))] == [(0, 2)]
    assert [a.sources for a in merge_axes(axes((6, 4), (4, 1)), frozenset({1}))] == [(0,), (1,)]
    assert merge_axes(axes((1,), (3,))) == merge_axes([]) == []


@given(
    st.lists(st.integers(1, 4), max_size=4).flatmap(
        lambda e: st.tuples(
            st.just(e), *[st.lists(st.integers(-6, 24), min_size=len(e), max_size=len(e))] * 2
        )
    )
)
def test_every_point_keeps_its_elements(case):
    extents, *strides = case
    before = [a for a in axes(extents, *strides) if a.extent > 1]
    after = merge_axes(axes(extents, *strides))
    assert len(after) <= len(before)
    assert points(after) == points(before)
