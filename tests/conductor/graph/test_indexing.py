"""Index maps against the positions they stand for, all of them, at small sizes.

`combine` and `separate` are what torch calls ravel and unravel, on affine functions of the axes
instead of numbers; `reshape` is one after the other. An axis that runs across a boundary is split,
as the emitter does it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
sympy = pytest.importorskip("sympy")

from gint.conductor.graph.indexing import (
    FIXED,
    Index,
    SplitNeededError,
    address,
    along,
    axes_of,
    combine,
    reshape,
    separate,
)

pytestmark = pytest.mark.torch

SIZES = st.lists(st.sampled_from((1, 1, 2, 3, 4, 5, 6, 7)), max_size=3)


def at(index: Index, position: Sequence[int]) -> int:
    """The value of an index at a position along all axes."""
    return index.offset + sum(c * position[axis] for axis, c in index.terms)


def positions(extents: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, extents))


@st.composite
def within(draw, size: int, extents: list[int]) -> Index:
    """An index into a dimension of this size, along up to two new axes, rising or falling.

    Each axis covers an even part of what is left, as slices and splits of a dimension do. No axis
    has one position: along a dimension of one element an index is fixed.
    """
    start, terms, reach = 0, [], size
    for _ in range(draw(st.integers(0, 2)) if size > 1 else 0):
        if reach == 1:
            break
        extent = draw(st.integers(2, reach))
        step = reach // extent
        extents.append(extent)
        axis, falls = len(extents) - 1, draw(st.booleans())
        terms.append((axis, -step if falls else step))
        start += (extent - 1) * step if falls else 0
        reach = step
    return Index(start + draw(st.integers(0, reach - 1)), tuple(terms))


@st.composite
def points(draw) -> tuple[list[Index], list[int], list[int]]:
    """Indices into dimensions of some sizes; the sizes; the extents of the axes."""
    sizes, extents = draw(SIZES), []
    return [draw(within(size, extents)) for size in sizes], sizes, extents


@given(points())
def test_combine_is_the_row_major_position(drawn):
    indices, sizes, extents = drawn
    flat = combine(indices, sizes)
    for p in positions(extents):
        inside = tuple(at(i, p) for i in indices)
        assert at(flat, p) == (np.ravel_multi_index(inside, sizes) if sizes else 0)


@given(points())
def test_separate_undoes_combine(drawn):
    indices, sizes, extents = drawn
    found = separate(combine(indices, sizes), sizes, extents)
    assert found is not None
    for p in positions(extents):
        assert [at(i, p) for i in found] == [at(i, p) for i in indices]


@given(
    st.integers(-3, 40),
    st.lists(st.tuples(st.integers(1, 7), st.integers(-12, 12)), max_size=3),
    SIZES,
)
def test_what_separate_finds_are_the_digits_of_the_position(offset, axes, sizes):
    """Of any position whatever: wrong digits are never found, and a split divides its axis."""
    extents = [extent for extent, _ in axes]
    index = Index(offset, tuple((a, step) for a, (_, step) in enumerate(axes)))
    found, split = None, None
    try:
        found = separate(index, sizes, extents)
    except SplitNeededError as error:
        split = error
    if split is not None:
        assert 1 < split.inner < extents[split.axis]
        assert extents[split.axis] % split.inner == 0
    if found is not None:
        for p in positions(extents):
            assert 0 <= at(index, p) < math.prod(sizes)
            digits = np.unravel_index(at(index, p), sizes) if sizes else ()
            assert tuple(at(i, p) for i in found) == tuple(map(int, digits))


@pytest.mark.parametrize(
    ("index", "sizes", "extents"),
    [
        (Index(6, ()), [2, 3], []),  # one past the end
        (Index(-1, ()), [2, 3], []),
        (along(0), [2, 3], [7]),  # 7 positions in 6 places
        (along(0), [2, 3], [4]),  # across a boundary, and 4 is no multiple of 3
        (Index(1, ((0, 1),)), [2, 3], [3]),  # across a boundary, since it starts inside
        (Index(0, ((0, 1), (1, 1))), [3, 2], [2, 2]),  # both along the last dimension
        (along(0), [0, 3], [1]),  # nothing there
    ],
)
def test_positions_that_have_no_affine_digits(index, sizes, extents):
    assert separate(index, sizes, extents) is None


def test_an_axis_is_split_where_it_crosses_a_boundary():
    with pytest.raises(SplitNeededError) as split:
        separate(along(0), [4, 3], [12])
    assert (split.value.axis, split.value.inner) == (0, 3)
    with pytest.raises(SplitNeededError) as split:
        separate(Index(22, ((0, -2),)), [4, 6], [12])
    assert (split.value.axis, split.value.inner) == (0, 3)


# Reshapes


def split_up(sizes: Sequence[int], splits: dict[int, list[int]]) -> tuple[list[Index], list[int]]:
    """The map of a value of these sizes, its dimension d being the axes `splits[d]`, the slowest
    first; the extents of the axes. A dimension of one element has none."""
    m, extents = [], []
    for d, size in enumerate(sizes):
        terms, weight = [], size
        for extent in splits.get(d, [size] if size != 1 else []):
            weight //= extent
            terms.append((len(extents), weight))
            extents.append(extent)
        m.append(Index(0, tuple(terms)))
    return m, extents


def reshaped(after: Sequence[int], before: Sequence[int]):
    """What `reshape` finds for a value of shape `after`, splitting where it asks for it; and the
    map and the extents it was asked with."""
    splits: dict[int, list[int]] = {}
    while True:
        m, extents = split_up(after, splits)
        try:
            return reshape(tuple(m), after, before, extents), m, extents
        except SplitNeededError as wanted:
            d = next(d for d, index in enumerate(m) if wanted.axis in index.axes)
            axes = list(m[d].axes)
            parts = [extents[a] for a in axes]
            where = axes.index(wanted.axis)
            parts[where : where + 1] = [parts[where] // wanted.inner, wanted.inner]
            splits[d] = parts


def assert_shows_the_same(found, m, extents, after, before):
    element = torch.arange(math.prod(before)).view(before)
    view = element.view(after)
    for p in positions(extents):
        assert element[tuple(at(i, p) for i in found)] == view[tuple(at(i, p) for i in m)]


def factorisations(n: int) -> list[list[int]]:
    """All ways of writing n as a product of factors above 1, in order."""
    whole = [[n]] if n > 1 else [[]]
    return whole + [
        [k, *rest] for k in range(2, n) if n % k == 0 for rest in factorisations(n // k)
    ]


def is_affine(after: Sequence[int], before: Sequence[int]) -> bool:
    """Whether some way of splitting the dimensions of `after` makes the indices into `before`
    affine. By trying all."""
    digits = np.array(np.unravel_index(np.arange(math.prod(after)), before), int)
    for parts in itertools.product(*map(factorisations, after)):
        extents = [extent for part in parts for extent in part]
        grid = digits.reshape(-1, *extents)
        second = [grid.take(min(1, e - 1), axis) for axis, e in enumerate(extents, 1)]
        steps = [s.reshape(len(s), -1)[:, :1] - digits[:, :1] for s in second]
        where = np.indices(extents).reshape(len(extents), digits.shape[1])
        straight = digits[:, :1] + sum(s * w for s, w in zip(steps, where, strict=True))
        if (digits == straight).all():
            return True
    return False


@st.composite
def shapes(draw) -> tuple[list[int], list[int]]:
    """Two shapes of the same number of elements."""
    n = draw(st.sampled_from((1, 2, 6, 7, 8, 12, 16, 24, 30, 36)))

    def shape() -> list[int]:
        parts = list(draw(st.sampled_from(factorisations(n))))
        for _ in range(draw(st.integers(0, 2))):
            parts.insert(draw(st.integers(0, len(parts))), 1)
        return parts

    return shape(), shape()


@given(shapes())
def test_reshape_is_what_torch_shows(drawn):
    after, before = drawn
    found, m, extents = reshaped(after, before)
    if found is None:
        assert not is_affine(after, before)
    else:
        assert_shows_the_same(found, m, extents, after, before)


@pytest.mark.parametrize(
    ("after", "before", "axes"),
    [
        ((6,), (2, 3), [2, 3]),  # to be split
        ((2, 3), (6,), [2, 3]),
        ((4, 6), (8, 3), [4, 2, 3]),
        ((8, 3), (4, 6), [4, 2, 3]),
        ((5, 1, 7), (1, 5, 7, 1), [5, 7]),
        ((), (1, 1), []),
        ((7, 2, 3), (7, 6), [7, 2, 3]),  # what is alike stays
    ],
)
def test_dimensions_are_split_as_far_as_needed(after, before, axes):
    found, m, extents = reshaped(after, before)
    assert extents == axes
    assert_shows_the_same(found, m, extents, after, before)


@pytest.mark.parametrize(
    ("after", "before"), [((3, 4), (4, 3)), ((4, 6), (2, 3, 4)), ((0,), (0, 3))]
)
def test_reshapes_that_no_split_makes_affine(after, before):
    assert reshape(tuple(map(along, range(len(after)))), after, before, after) is None


S, T = sympy.symbols("s t", integer=True, positive=True)


@pytest.mark.parametrize(
    ("after", "before"),
    [
        ((S, 6), (S, 2, 3)),
        ((S, 2, 3), (S, 6)),
        ((S, 4), (4 * S,)),
        ((S, T), (S * T,)),
        ((S, 1, T), (S, T)),
        ((2 * S, T, 3), (2 * S, 3 * T)),
    ],
)
def test_symbolic_sizes_that_need_no_division(after, before):
    numbers = {S: 5, T: 7}
    after_, before_ = ([int(sympy.sympify(k).subs(numbers)) for k in s] for s in (after, before))
    splits = {1: [2, 3]} if after == (S, 6) else {}
    m, extents = split_up(after_, splits)
    symbolic = [k if k in (2, 3) or not splits else S for k in extents]
    found = reshape(tuple(m), after, before, symbolic)
    assert found is not None
    numeric = [
        Index(
            int(sympy.sympify(i.offset).subs(numbers)),
            tuple((a, int(sympy.sympify(c).subs(numbers))) for a, c in i.terms),
        )
        for i in found
    ]
    assert_shows_the_same(numeric, m, extents, after_, before_)


@pytest.mark.parametrize(
    ("after", "before"),
    [((4 * S,), (S, 4)), ((S, 2), (2, S)), ((S * T,), (S, T)), ((S,), (T,)), ((S,), (S, T))],
)
def test_symbolic_sizes_that_would_have_to_be_divided(after, before):
    assert reshape(tuple(map(along, range(len(after)))), after, before, after) is None


# Memory


@given(points(), st.data())
def test_address_is_where_torch_has_the_element(drawn, data):
    indices, sizes, extents = drawn
    order = data.draw(st.permutations(range(len(sizes))))
    memory = torch.arange(math.prod(sizes)).view([sizes[d] for d in order])
    tensor = memory.permute([order.index(d) for d in range(len(sizes))])
    offset, steps = address(tuple(indices), tensor.stride())
    assert set(steps) == set(axes_of(indices))
    for p in positions(extents):
        element = offset + sum(step * p[axis] for axis, step in steps.items())
        assert element == tensor[tuple(at(i, p) for i in indices)]


def test_steps_along_an_axis_that_several_dimensions_share_add_up():
    """The diagonal of a matrix."""
    assert address((along(0), along(0)), (5, 1)) == (0, {0: 6})
    assert address((FIXED, Index(2)), (5, 1)) == (2, {})


def test_scaled_is_every_step_th_element_from_a_start():
    index = Index(2, ((0, 3), (1, -1)))
    assert index.scaled(4, 5) == Index(13, ((0, 12), (1, -4)))
    assert index.axes == (0, 1)
