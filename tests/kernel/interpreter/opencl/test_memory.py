"""Which host memory becomes one buffer, and what of it is carried to and fro."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gint.kernel.interpreter.opencl.memory import HostRange, host_ranges

pytest.importorskip("pyopencl")


def slot(number, low, high, storage_bytes=100, reads=True, writes=False, is_dense=True):
    region = SimpleNamespace(low=low, high=high, is_dense=is_dense)
    return SimpleNamespace(
        slot=number, region=region, storage_bytes=storage_bytes, reads=reads, writes=writes
    )


def test_apart_in_ascending_order():
    found = host_ranges(False, [slot(0, 4, 20), slot(1, 0, 8, writes=True)], [1000, 500])
    assert found == [
        HostRange(500, 508, True, True, (1,)),
        HostRange(1004, 1020, False, True, (0,)),
    ]


def test_devices_that_share_memory_see_whole_storages():
    assert host_ranges(True, [slot(0, 4, 20)], [1000]) == [HostRange(1000, 1100, False, True, (0,))]


def test_what_overlaps_is_one_buffer():
    touched = [slot(0, 0, 20), slot(1, 0, 20, reads=False, writes=True), slot(2, 8, 40)]
    assert host_ranges(False, touched, [100, 100, 100]) == [
        HostRange(100, 140, True, True, (0, 1, 2))
    ]


def test_neighbours_are_two():
    found = host_ranges(False, [slot(0, 0, 8), slot(1, 0, 8)], [100, 108])
    assert [(r.start, r.end) for r in found] == [(100, 108), (108, 116)]


@pytest.mark.parametrize(("is_dense", "uploads"), [(True, False), (False, True)])
def test_bytes_between_what_is_written_come_back_as_they_were(is_dense, uploads):
    (one,) = host_ranges(False, [slot(0, 0, 8, reads=False, writes=True, is_dense=is_dense)], [0])
    assert (one.writes, one.uploads) == (True, uploads)


def test_bytes_that_only_one_of_two_writes_are_uploaded():
    """The result is longer than what lies over it."""
    touched = [slot(n, 0, 8 + n, reads=False, writes=True) for n in range(2)]
    assert host_ranges(False, touched, [0, 0]) == [HostRange(0, 9, True, True, (0, 1))]
