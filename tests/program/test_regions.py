"""Overlap of regions against an enumeration of every byte: never wrong, exact where promised."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from gint.program import assemble
from gint.program.regions import (
    Region,
    disjoint,
    overlaps_itself,
    slot_region,
    span,
    touched_regions,
)  # fmt: skip


def _elements(region: Region) -> list[int]:
    positions = product(*map(range, region.extents))
    return [
        region.start + sum(p * s for p, s in zip(position, region.steps, strict=True))
        for position in positions
    ]


def _bytes(region: Region) -> set[int]:
    return {e + b for e in _elements(region) for b in range(region.itemsize)}


@st.composite
def regions(draw: st.DrawFn) -> Region:
    rank, size = draw(st.integers(0, 3)), draw(st.sampled_from((1, 2, 4)))
    extents = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    steps = tuple(size * draw(st.integers(-9, 9)) for _ in range(rank))
    return Region(1000 + size * draw(st.integers(-20, 20)), size, extents, steps)


@given(regions())
def test_bounds_are_exact(region):
    assert region.low == min(_bytes(region))
    assert region.high == max(_bytes(region)) + 1


@given(regions())
def test_a_span_counts_from_the_lowest_element_in_the_steps_own_unit(region):
    found = _elements(region)
    back, length = region.start - min(found), max(found) - min(found)
    assert span(region.extents, region.steps, region.itemsize) == (back, length + region.itemsize)
    size = region.itemsize
    assert span(region.extents, region.steps_in_elements) == (back // size, length // size + 1)


@given(regions())
def test_a_dense_region_has_no_byte_between_its_elements(region):
    if region.is_dense and not overlaps_itself(region):
        assert len(_bytes(region)) == region.high - region.low


def test_no_element_covers_nothing():
    assert span((3, 0), (-8, 4), 4) == (0, 0)
    assert not overlaps_itself(Region(0, 4, (3, 0), (0, 0)))


@given(regions())
def test_a_region_said_to_be_free_of_overlap_is(region):
    if not overlaps_itself(region):
        elements = _elements(region)
        assert len(_bytes(region)) == region.itemsize * len(elements)


@given(st.permutations((0, 1, 2)), st.lists(st.integers(1, 3), min_size=3, max_size=3),
       st.integers(1, 3), st.sets(st.integers(0, 2)))  # fmt: skip
def test_nested_strides_do_not_overlap(order, extents, gap, flipped):
    steps, step = [0, 0, 0], 4 * gap
    for axis in order:
        steps[axis] = -step if axis in flipped else step
        step *= extents[axis]
    assert not overlaps_itself(Region(0, 4, tuple(extents), tuple(steps)))


@given(regions(), regions())
def test_regions_said_to_be_disjoint_are(a, b):
    assert disjoint(a, b) == disjoint(b, a)
    if disjoint(a, b):
        assert not _bytes(a) & _bytes(b)


def test_interleaved_columns_and_halves_are_disjoint():
    left = Region(0, 4, (8, 3), (24, 4))
    right = Region(12, 4, (8, 3), (24, 4))
    even, odd = Region(0, 4, (9,), (8,)), Region(4, 4, (9,), (8,))
    assert disjoint(left, right)
    assert disjoint(even, odd)
    assert not disjoint(left, Region(8, 4, (8, 3), (24, 4)))


PROGRAM = assemble("""
axis m parallel
axis n parallel
slot x f32 in (n)
slot unused f32 in (n)
slot y f16 out (m, n)
map
  load.f32 r[0] <- s[x]
  cast.f32 r[1] <- f32(r[0])
  store.f16 s[y] <- r[1]
""")


def test_what_a_launch_touches():
    slots = ((64, 1, (-2,)), (64, 0, (1,)), (64, 3, (8, 1)))
    found = touched_regions(PROGRAM, (2, 5), slots)
    assert found == {0: Region(4, 4, (5,), (-8,)), 2: Region(6, 2, (2, 5), (16, 2))}
    assert slot_region(PROGRAM.slots[2], (2, 5), 3, (8, 1), 100) == Region(106, 2, (2, 5), (16, 2))
    assert list(touched_regions(PROGRAM, (0, 5), slots)) == [0]
