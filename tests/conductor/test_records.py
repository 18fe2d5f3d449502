"""Records of compiled graphs: the latest are kept, oldest first."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import statistics
from gint.conductor.records import _RECORDS, GraphRecord, clear, remember

pytestmark = pytest.mark.torch


def record(programs: int) -> GraphRecord:
    return GraphRecord(programs, instructions=0, externs={}, fallbacks=())


def test_records_come_in_the_order_of_compilation():
    assert statistics() == []
    for n in range(3):
        remember(record(n))
    assert [r.programs for r in statistics()] == [0, 1, 2]
    clear()
    assert statistics() == []


def test_what_is_handed_out_is_a_copy():
    remember(record(0))
    statistics().clear()
    assert len(statistics()) == 1


def test_a_process_that_compiles_for_ever_keeps_the_latest():
    for n in range(_RECORDS.maxlen + 5):
        remember(record(n))
    found = statistics()
    assert (len(found), found[0].programs) == (_RECORDS.maxlen, 5)
