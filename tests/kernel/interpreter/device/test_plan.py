"""Launches of a binding: when rows are dealt, what records say, what does not fit 32 bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.isa.device import RECORD
from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.encoder import encode, word_bits
from gint.kernel.interpreter.device.kernel import PointerCheck
from gint.kernel.interpreter.device.plan import CHUNK_TILES, TooLargeError, magic, plan
from gint.program import assemble, verify

BUILD = Build()
SOFTMAX = verify(
    assemble("""
axis rows parallel
axis cols reduced
slot x f32 in (rows, cols)
slot y f32 out (rows, cols)
reduce
  load.f32 r[0] <- s[x]
  amax.f32 acc[1] <- max(acc[1], r[0])
reduce
  load.f32 r[2] <- s[x]
  sub.f32 r[3] <- r[2] - r[1]
  exp.f32 r[4] <- exp(r[3])
  sum.f32 acc[5] <- acc[5] + r[4]
map
  load.f32 r[6] <- s[x]
  sub.f32 r[7] <- r[6] - r[1]
  exp.f32 r[8] <- exp(r[7])
  div.f32 r[9] <- r[8] / r[5]
  store.f32 s[y] <- r[9]
""")
)
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


def planned(verified, extents, *strides, build=BUILD):
    size = 4 * int(np.prod(extents)) + 4
    slots = tuple((size, 0, s) for s in strides)
    program = encode(verified, word_bits(verified), build.registers)
    return plan(program, build, extents, (), slots)


def field(made, launch, name):
    return int(made.records[launch.record_at + RECORD.index(name)])


def softmax_of(rows, cols):
    return planned(SOFTMAX, (rows, cols), (cols, 1), (cols, 1))


def test_many_rows_are_one_launch():
    made = softmax_of(4096, 4096)
    assert [launch.kernel for launch in made.launches] == ["gint_run"]
    assert field(made, made.launches[0], "LAST_SECTION") == 3


@pytest.mark.parametrize(
    ("n", "tiles"), [(1 << 20, 1), (1 << 24, 4), (1 << 26, 8), (1 << 28, 8), (1 << 33, 8)]
)
def test_groups_of_a_large_map_take_several_tiles(n, tiles):
    """The memory of the next is then asked for while one is computed; see LOOK_AHEAD in
    portable/section.h."""
    build = Build(word_bits=64 if n >= 1 << 31 else 32)
    strides = (n // 1024, 1)
    made = planned(ADD, (1024, n // 1024), strides, strides, build=build)
    assert field(made, made.launches[0], "CHUNK_TILES") == tiles
    items = -(-n // (tiles * build.block * build.elements))
    assert field(made, made.launches[0], "ITEMS") == items


@pytest.mark.parametrize(
    ("block", "on_cpu", "groups"), [(256, 0, 1024), (128, 0, 2048), (32, 1, 1024)]
)
def test_groups_of_fewer_threads_are_more(block, on_cpu, groups):
    build = Build(block=block, on_cpu=bool(on_cpu))
    made = planned(SOFTMAX, (1 << 16, 4096), (4096, 1), (4096, 1), build=build)
    assert [launch.groups for launch in made.launches] == [groups]


@pytest.mark.parametrize(("rows", "cols"), [(1, 10**6), (1, 10**8), (7, 10**5), (100, 10**6)])
def test_few_long_rows_are_dealt_to_many_groups_section_by_section(rows, cols):
    made = softmax_of(rows, cols)
    kernels = [launch.kernel for launch in made.launches]
    assert kernels == ["gint_run", "gint_combine"] * 2 + ["gint_run"]
    first = made.launches[0]
    assert first.groups > 100
    assert field(made, first, "CHUNKS") == field(made, first, "DEALT")
    assert field(made, first, "CHUNK_TILES") <= CHUNK_TILES
    assert field(made, first, "CHUNKS") * field(made, first, "CHUNK_TILES") >= field(
        made, first, "TILES"
    )


def test_a_row_of_a_few_tiles_is_not_worth_more_launches():
    assert len(softmax_of(1, 3000).launches) == 1


def test_chunks_of_a_reduction_are_short_so_that_sums_are_pairwise():
    made = softmax_of(4096, 10**6)
    assert field(made, made.launches[0], "CHUNK_TILES") == CHUNK_TILES


def test_scratch_memory_holds_everything_a_launch_addresses():
    for rows, cols in ((1, 10**6), (4096, 100), (3, 10**5)):
        made = softmax_of(rows, cols)
        words = made.scratch_bytes // 4
        for launch in made.launches:
            threads = field(made, launch, "THREADS")
            assert field(made, launch, "THREAD_AT") + threads <= words
            shared = field(made, launch, "ROW_SHARED")
            columns = rows if shared else threads
            assert field(made, launch, "ROW_STRIDE") == columns
            assert field(made, launch, "ROW_AT") + 2 * columns <= words


def test_an_empty_map_is_no_launch_an_empty_fold_is_one():
    assert planned(ADD, (0, 5), (5, 1), (5, 1)).launches == ()
    assert len(planned(SOFTMAX, (5, 0), (0, 1), (0, 1)).launches) == 1
    assert planned(SOFTMAX, (0, 5), (5, 1), (5, 1)).launches == ()


def test_positions_beyond_31_bits_ask_for_wider_words():
    wide = (2**16, 2**16)
    with pytest.raises(TooLargeError):
        planned(ADD, wide, (2**16, 1), (2**16, 1))
    with pytest.raises(TooLargeError):
        planned(ADD, (2, 2), (2**30, 1), (2, 1))
    build = Build(64)
    program = encode(ADD, 64, build.registers)
    slots = ((2**34, 0, (2**16, 1)),) * 2
    assert plan(program, build, wide, (), slots).launches


def test_a_slot_that_is_touched_says_which_bytes():
    made = planned(ADD, (3, 4), (-4, 1), (8, 2))
    x, y = made.touched
    assert (x.low, x.high, x.is_dense, x.writes) == (-32, 16, True, False)
    assert (y.low, y.high, y.is_dense, y.writes) == (0, 4 * (16 + 6 + 1), False, True)


@given(st.integers(1, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_division_by_multiplication_is_exact(divisor, x):
    m, shift = magic(divisor)
    assert m < 2**32
    assert ((m * x >> 32) + x) >> shift == x // divisor


def test_pointers_are_apart_if_no_written_storage_meets_another():
    slots = ((64, 0, (4, 1)), (64, 0, (4, 1)))
    apart = PointerCheck(ADD, (4, 4), slots)
    assert apart((4096, 4160))
    assert apart((4160, 4096))
    assert not apart((4096, 4096))
    assert not apart((4096, 4159))
    assert not apart((4096, 4158 + 64))  # not a multiple of the element's size
    assert not apart((0, 4096))
