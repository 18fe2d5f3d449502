"""The pool: memory comes back when nobody holds it, and never while somebody does."""

import gc
import threading

import numpy as np
import pytest

from gint.host.memory import POOLED_BYTES, ArrayEntry, Pool, empty

SHAPE, F32 = (1024, 512), np.dtype("f4")


@pytest.fixture
def pool():
    return Pool(limit=1 << 24)


def address(a):
    return a.__array_interface__["data"][0]


def test_a_dropped_result_is_used_again(pool):
    shelf = pool.shelf(ArrayEntry, SHAPE, F32)
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
    shelf = pool.shelf(ArrayEntry, SHAPE, F32)
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
    shelves = [pool.shelf(ArrayEntry, (rows, 512), F32) for rows in range(1024, 1040)]
    for shelf in shelves:
        shelf()
        assert pool.bytes <= pool.limit
    pool.clear()
    assert pool.bytes == 0


def test_a_shelf_nobody_refers_to_and_nothing_lies_on_is_gone(pool):
    pool.shelf(ArrayEntry, SHAPE, F32)
    gc.collect()
    assert not pool.shelves


def test_threads_never_share_a_result(pool):
    shelf = pool.shelf(ArrayEntry, SHAPE, F32)
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
