"""Dispatches of a binding: when rows are dealt, what records say, what does not fit 32 bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.isa.device import RECORD
from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.dispatches import (
    CHUNK_TILES,
    TooLargeError,
    list_dispatches,
    magic,
)
from gint.kernel.interpreter.device.encoder import encode, word_bits
from gint.kernel.interpreter.device.kernel import PointerCheck
from gint.program import assemble, verify
from tests.programs import SOFTMAX, SUMS

BUILD = Build()
SOFTMAX_PROGRAM = verify(assemble(SOFTMAX))
ADD = verify(
    assemble("""
axis m parallel
axis n parallel
slot x f32 in (m, n)
slot y f32 out (m, n)
map
  load.f32 r[0] <- s[x]
  add.f32 r[1] <- r[0] + r[0]
  store.f32 s[y] <- r[1]
""")
)


def dispatches_of(verified, extents, *strides, build=BUILD):
    size = 4 * int(np.prod(extents)) + 4
    slots = tuple((size, 0, s) for s in strides)
    program = encode(verified, word_bits(verified), build.registers)
    return list_dispatches(program, build, extents, (), slots)


def field(made, dispatch, name):
    return int(made.records[dispatch.record_at + RECORD.index(name)])


def softmax_of(rows, cols):
    return dispatches_of(SOFTMAX_PROGRAM, (rows, cols), (cols, 1), (cols, 1))


def test_many_rows_are_one_launch():
    made = softmax_of(4096, 4096)
    assert [dispatch.kernel for dispatch in made.dispatches] == ["gint_run"]
    assert field(made, made.dispatches[0], "LAST_SECTION") == 3


@pytest.mark.parametrize(
    ("n", "tiles"), [(1 << 20, 1), (1 << 24, 4), (1 << 26, 8), (1 << 28, 8), (1 << 33, 8)]
)
def test_groups_of_a_large_map_take_several_tiles(n, tiles):
    """The memory of the next is then asked for while one is computed; see LOOK_AHEAD in
    portable/section.h."""
    build = Build(word_bits=64 if n >= 1 << 31 else 32)
    strides = (n // 1024, 1)
    made = dispatches_of(ADD, (1024, n // 1024), strides, strides, build=build)
    assert field(made, made.dispatches[0], "CHUNK_TILES") == tiles
    items = -(-n // (tiles * build.block * build.elements))
    assert field(made, made.dispatches[0], "ITEMS") == items


@pytest.mark.parametrize(
    ("block", "on_cpu", "groups"), [(256, 0, 1024), (128, 0, 2048), (32, 1, 1024)]
)
def test_groups_of_fewer_threads_are_more(block, on_cpu, groups):
    build = Build(block=block, on_cpu=bool(on_cpu))
    made = dispatches_of(SOFTMAX_PROGRAM, (1 << 16, 4096), (4096, 1), (4096, 1), build=build)
    assert [dispatch.groups for dispatch in made.dispatches] == [groups]


@pytest.mark.parametrize(("rows", "cols"), [(1, 10**6), (1, 10**8), (7, 10**5), (100, 10**6)])
def test_few_long_rows_are_dealt_to_many_groups_section_by_section(rows, cols):
    made = softmax_of(rows, cols)
    kernels = [dispatch.kernel for dispatch in made.dispatches]
    assert kernels == ["gint_run", "gint_combine"] * 2 + ["gint_run"]
    first = made.dispatches[0]
    assert first.groups > 100
    assert field(made, first, "CHUNKS") == field(made, first, "DEALT")
    assert field(made, first, "CHUNK_TILES") <= CHUNK_TILES
    assert field(made, first, "CHUNKS") * field(made, first, "CHUNK_TILES") >= field(
        made, first, "TILES"
    )


def test_a_row_of_a_few_tiles_is_not_worth_more_launches():
    assert len(softmax_of(1, 3000).dispatches) == 1


def test_chunks_of_a_reduction_are_short_so_that_sums_are_pairwise():
    made = softmax_of(4096, 10**6)
    assert field(made, made.dispatches[0], "CHUNK_TILES") == CHUNK_TILES


def test_scratch_memory_holds_everything_a_launch_addresses():
    for rows, cols in ((1, 10**6), (4096, 100), (3, 10**5)):
        made = softmax_of(rows, cols)
        words = made.scratch_bytes // 4
        for dispatch in made.dispatches:
            threads = field(made, dispatch, "THREADS")
            assert field(made, dispatch, "THREAD_AT") + threads <= words
            shared = field(made, dispatch, "ROW_SHARED")
            columns = rows if shared else threads
            assert field(made, dispatch, "ROW_STRIDE") == columns
            assert field(made, dispatch, "ROW_AT") + 2 * columns <= words


def test_an_empty_map_is_no_launch_an_empty_fold_that_is_stored_is_one():
    assert dispatches_of(ADD, (0, 5), (5, 1), (5, 1)).dispatches == ()
    assert dispatches_of(SOFTMAX_PROGRAM, (5, 0), (0, 1), (0, 1)).dispatches == ()
    assert len(dispatches_of(verify(assemble(SUMS)), (5, 0), (0, 1), (1,)).dispatches) == 1
    assert dispatches_of(SOFTMAX_PROGRAM, (0, 5), (5, 1), (5, 1)).dispatches == ()


def test_positions_beyond_31_bits_ask_for_wider_words():
    wide = (2**16, 2**16)
    with pytest.raises(TooLargeError):
        dispatches_of(ADD, wide, (2**16, 1), (2**16, 1))
    with pytest.raises(TooLargeError):
        dispatches_of(ADD, (2, 2), (2**30, 1), (2, 1))
    build = Build(64)
    program = encode(ADD, 64, build.registers)
    slots = ((2**34, 0, (2**16, 1)),) * 2
    assert list_dispatches(program, build, wide, (), slots).dispatches


def test_a_slot_that_is_touched_says_which_bytes():
    made = dispatches_of(ADD, (3, 4), (-4, 1), (8, 2))
    x, y = made.touched
    assert (x.region.low, x.region.high, x.region.is_dense, x.writes) == (-32, 16, True, False)
    assert (y.region.low, y.region.high, y.region.is_dense, y.writes) == (
        0,
        4 * (16 + 6 + 1),
        False,
        True,
    )


@given(st.integers(1, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_division_by_multiplication_is_exact(divisor, x):
    m, shift = magic(divisor)
    assert m < 2**32
    assert ((m * x >> 32) + x) >> shift == x // divisor


def test_pointers_are_apart_if_no_written_storage_meets_another():
    slots = ((64, 0, (4, 1)), (64, 0, (4, 1)))
    check = PointerCheck(ADD, (4, 4), slots)
    assert check.fits((4096, 4160))
    assert check.fits((4160, 4096))
    assert not check.fits((4096, 4096))
    assert not check.fits((4096, 4159))
    assert not check.fits((4096, 4158 + 64))  # not a multiple of the element's size
    assert not check.fits((0, 4096))
