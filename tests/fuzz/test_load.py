"""A slice of the load: threads, comparisons, and memory that does not grow."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tests.fuzz import load
from tests.fuzz.load import Load

pytestmark = pytest.mark.torch


def test_threads_get_what_eager_gives_and_memory_stays() -> None:
    kind = Load("softmax", "gradient")
    for number in range(2):
        case = replace(kind.case(1, number), repeats=500)
        assert kind.load(json.loads(json.dumps(kind.dump(case)))) == case
        assert len(list(kind.run(case))) == 8 * 40 + 500


def test_a_wrong_result_and_growth_are_findings(monkeypatch) -> None:
    kind = Load("softmax")
    case = replace(kind.case(1, 0), repeats=1)
    list(kind.run(case))
    for expected in kind.expected.values():
        expected += 1
    with pytest.raises(AssertionError, match="softmax of"):
        list(kind.run(case))
    for expected in kind.expected.values():
        expected -= 1
    kind.ran, kind.warm_mib = 200, load.resident_mib() - 100
    with pytest.raises(AssertionError, match="grown by"):
        list(kind.run(case))
