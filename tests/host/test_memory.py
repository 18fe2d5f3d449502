"""The pool: memory comes back when nobody holds it, and never while somebody does."""

import gc
import mmap
import os
import re
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gint.host.memory import (
    HUGE_BYTES,
    POOLED_BYTES,
    ArrayEntry,
    Pool,
    empty,
    map_ahead,
    reserve,
    rounded,
)

SHAPE, F32 = (1024, 512), np.dtype("f4")


@pytest.fixture
def pool():
    return Pool(limit=1 << 24)


def shelf_of(pool, shape, dtype):
    nbytes = dtype.itemsize * shape[0] * shape[1]
    return partial(pool.sized(ArrayEntry, nbytes).take, (shape, dtype))


def address(a):
    return a.__array_interface__["data"][0]


def test_a_dropped_result_is_used_again(pool):
    shelf = shelf_of(pool, SHAPE, F32)
    first = address(shelf())
    assert address(shelf()) == first


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a,
        lambda a: a[3:4],
        lambda a: a.T[1:][2:],
        lambda a: a.view("i4"),
        memoryview,
        lambda a: np.frombuffer(a, "u1"),
        lambda a: a.__dlpack__(),
    ],
    ids=["itself", "slice", "view of a view", "other dtype", "memoryview", "buffer", "dlpack"],
)
def test_a_held_result_is_never_handed_out_again(pool, hold):
    shelf = shelf_of(pool, SHAPE, F32)
    result = shelf()
    result.fill(7)
    held, where = hold(result), address(result)
    del result
    other = shelf()
    assert address(other) != where
    del held, other
    gc.collect()
    assert where in {address(a) for a in [shelf(), shelf()]}


def test_results_are_c_ordered_writable_and_aligned():
    a = empty(SHAPE, F32)
    assert a.flags.c_contiguous
    assert a.flags.writeable
    assert a.flags.aligned
    assert (a.shape, a.dtype) == (SHAPE, F32)
    assert a.nbytes >= POOLED_BYTES
    assert address(a) % 4096 == 2048


def test_the_limit_holds_and_clear_gives_back(pool):
    shelves = [shelf_of(pool, (rows, 512), F32) for rows in range(1024, 1040)]
    for shelf in shelves:
        shelf()
        assert pool.bytes <= pool.limit
    pool.clear()
    assert pool.bytes == 0


@pytest.mark.parametrize("nbytes", [1, 7, 16, 17, 1000, 1 << 20, (1 << 20) + 1, (1 << 21) - 1])
def test_a_size_is_rounded_up_by_an_eighth_at_most(nbytes):
    assert nbytes <= rounded(nbytes) <= nbytes * 9 / 8
    assert rounded(rounded(nbytes)) == rounded(nbytes)


def test_memory_is_used_again_for_whatever_fits(pool):
    large = shelf_of(pool, (1024, 512), F32)
    where = address(large())
    for shape, dtype in (((1000, 512), F32), ((512, 512), np.dtype("f8")), ((1, 520_000), F32)):
        found = shelf_of(pool, shape, dtype)()
        assert (found.shape, found.dtype, address(found)) == (shape, dtype, where)
        del found
    assert address(shelf_of(pool, (800, 512), F32)()) != where
    assert pool.statistics().made == 2


def test_sizes_that_differ_a_little_keep_little(pool):
    for rows in range(1024, 1200):
        shelf_of(pool, (rows, 512), F32)()
    assert pool.bytes < 8 << 20


def test_a_size_nobody_asks_for_any_more_is_given_back(pool):
    shelf_of(pool, SHAPE, F32)()
    sized = pool.sized(ArrayEntry, 2 << 20)
    assert len(sized.kept) == 1
    other, held = shelf_of(pool, (300, 1024), F32), []
    for _ in range(40):
        held.append(other())
    assert not sized.kept


def test_as_much_as_the_limit_allows_is_used_again(pool):
    shelf = shelf_of(pool, (512, 512), F32)
    held = [shelf() for _ in range(20)]
    assert pool.limit - (2 << 20) < pool.bytes <= pool.limit
    kept = {address(a) for a in held}
    del held
    again = [shelf() for _ in range(15)]
    assert {address(a) for a in again} <= kept
    assert pool.statistics().made == 20


def test_what_was_released_is_found_behind_what_is_held(pool):
    shelf = shelf_of(pool, (64, 512), F32)
    held = [shelf() for _ in range(40)]
    released = {address(a) for a in held[:8]}
    del held[:8]
    again = [shelf() for _ in range(4)]  # each looks at 16 of the 40
    assert released & {address(a) for a in again}


def test_statistics_tell_what_is_kept_and_what_is_in_use(pool):
    shelf = shelf_of(pool, SHAPE, F32)
    held = shelf()
    shelf()
    kept, used, limit, asked, made = pool.statistics()
    assert (limit, asked, made) == (1 << 24, 2, 2)
    assert kept == 2 * used == pool.bytes
    del held
    assert pool.statistics().used == 0


def test_threads_never_share_a_result(pool):
    shelf = shelf_of(pool, SHAPE, F32)
    wrong = []

    def work(value):
        for _ in range(300):
            a = shelf()
            a[0] = value
            if (a[0] != value).any():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("shape", [(3, 5), (0, 4), (2, 3, POOLED_BYTES // 8)])
def test_reserved_memory_is_zeros_to_write_to(shape):
    found = reserve(shape, F32)
    assert found.shape == shape
    assert found.dtype == F32
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert not found.any()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_reserved_memory_is_resident_and_private_where_it_is_written():
    found = reserve((32 << 20,), np.dtype("u1"))
    found[5 << 20] = 1
    where = f"{address(found):x}-"
    (entry,) = (
        e for e in re.split(r"\n(?=[0-9a-f]+-)", Path("/proc/self/smaps").read_text())
        if e.startswith(where)
    )  # fmt: skip
    assert entry.splitlines()[0].split()[1] == "rw-p"
    assert 0 < int(re.search(r"^Rss:\s+(\d+) kB", entry, re.M)[1]) <= 64


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a call of Linux's")
def test_a_file_that_is_mapped_ahead_is_resident_and_may_be_dropped(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(2 * HUGE_BYTES))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    thread = map_ahead(mapped)
    assert thread is not None
    thread.join()
    lines = Path("/proc/self/smaps").read_text().partition(str(path))[2].splitlines()
    resident = next(int(line.split()[1]) << 10 for line in lines if line.startswith("Rss:"))
    assert resident == 2 * HUGE_BYTES
    os.truncate(path, 0)
    gone = map_ahead(mapped)
    gone.join()
    del mapped, thread, gone
    gc.collect()
    assert str(path) not in Path("/proc/self/maps").read_text()
