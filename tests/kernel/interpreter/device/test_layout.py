"""How bindings are dealt to threads: merged axes, the lane axis, the shape of a group."""

import pytest

from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.layout import arrange
from gint.program.axes import StridedAxis

BUILD = Build()


def laid_out(extents, *strides, reduced=(), fixed=(), build=BUILD):
    """The layout for float32 slots with a stride per axis (in elements)."""
    axes = [
        StridedAxis(e, tuple(4 * s[a] if e > 1 else 0 for s in strides), (a,))
        for a, e in enumerate(extents)
    ]
    return arrange(axes, frozenset(reduced), frozenset(fixed), [4] * len(strides), build)


def test_contiguous_axes_become_one():
    layout = laid_out((6, 5, 4000), (20000, 4000, 1), (20000, 4000, 1))
    assert [a.extent for a in layout.inner] == [6 * 5 * 4000]
    assert layout.rows == 1
    assert not layout.rows_fastest


def test_axes_in_another_order_in_memory_become_one_too():
    layout = laid_out((6, 5, 4), (1, 24, 6), (1, 24, 6))
    assert [a.extent for a in layout.inner] == [120]
    assert layout.lane == 0


def test_an_axis_whose_position_is_read_stays():
    layout = laid_out((6, 4000), (4000, 1), (4000, 1), fixed=(0,))
    assert [a.extent for a in layout.outer] == [6]
    assert [a.extent for a in layout.inner] == [4000]


@pytest.mark.parametrize(
    ("strides", "lane"),
    [
        ([(500, 1), (500, 1), (500, 1)], 1),  # all alike
        ([(1, 300), (500, 1), (500, 1)], 1),  # one transposed input: most slots win
        ([(1, 300), (1, 300), (500, 1)], 0),
        ([(0, 1), (500, 1)], 1),  # a bias of columns
        ([(1, 0), (500, 1)], 1),  # a bias of rows is read little: the output decides
        ([(1, 0), (1, 0), (500, 1)], 1),
        ([(-500, -1), (-500, -1)], 1),  # reversed
    ],
)
def test_lanes_run_along_the_fastest_axis_of_most_slots(strides, lane):
    layout = laid_out((300, 500), *strides)
    assert layout.lane == lane
    first = layout.outer[0] if layout.rows_fastest else layout.inner[0]
    assert first.sources[-1] == lane


def test_lanes_of_a_reduction_run_along_rows_or_columns_as_memory_does():
    rows = laid_out((1000, 3000), (3000, 1), (1, 0), reduced=(1,))
    assert (rows.lane, rows.rows_fastest) == (1, False)
    assert rows.log_lanes == BUILD.block.bit_length() - 1
    columns = laid_out((3000, 1000), (3000, 1), (0, 1), reduced=(0,))
    assert (columns.lane, columns.rows_fastest) == (1, True)
    assert columns.log_rows >= 5  # a warp reads neighbours


def test_short_rows_share_a_group():
    layout = laid_out((10000, 40), (40, 1), (1, 0), reduced=(1,))
    assert 1 << layout.log_lanes == 8  # 5 threads of 8 elements
    assert layout.log_rows + layout.log_lanes == BUILD.block.bit_length() - 1
    assert layout.groups == -(-10000 // (BUILD.block // 8))


def test_a_short_lane_axis_gives_threads_elements_of_the_others():
    layout = laid_out((4000, 24), (24, 1), (24, 1), (24, 1), fixed=(0, 1))
    assert (layout.lane, layout.rows_fastest) == (1, True)
    assert 1 << layout.log_rows == 32
    assert [a.extent for a in layout.inner] == [4000]


def test_nothing_to_walk_is_one_point():
    layout = laid_out((), ())
    assert (layout.rows, layout.points, layout.groups, layout.tiles(BUILD)) == (1, 1, 1, 1)
    assert laid_out((1, 1), (5, 1)).points == 1
    assert laid_out((0, 7), (7, 1)).rows * laid_out((0, 7), (7, 1)).points == 0
