"""Files of tensors that several processes read."""

from __future__ import annotations

import os

import numpy as np
import pytest

from airllm.checkpoint.files import OpenFile


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_processes_made_by_fork_read_one_file_each_where_it_asks(tmp_path):
    """Where one stands in an open file is the same for all of them."""
    path = tmp_path / "numbers"
    rows = np.arange(1 << 16, dtype=np.uint32).reshape(-1, 64)
    rows.tofile(path)
    opened = OpenFile(path)

    def reads_rightly(first: int) -> bool:
        found = np.empty(64, np.uint32)
        for n in [*range(first, len(rows)), *range(first)] * 20:
            missing = opened.fill(memoryview(found).cast("B"), n * rows[0].nbytes)
            if missing or not np.array_equal(found, rows[n]):
                return False
        return True

    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if reads_rightly(500) else 1)
        finally:
            os._exit(2)
    rightly = reads_rightly(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert rightly


def test_what_lies_behind_the_end_is_missing(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(bytes(range(10)))
    found = bytearray(8)
    assert OpenFile(path).fill(memoryview(found), 5) == 3
    assert found == bytes([5, 6, 7, 8, 9, 0, 0, 0])
