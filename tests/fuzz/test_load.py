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


def test_a_wrong_result_is_a_finding() -> None:
    kind = Load("softmax")
    case = replace(kind.case(1, 0), repeats=1)
    list(kind.run(case))
    for expected in kind.expected.values():
        expected += 1
    with pytest.raises(AssertionError, match="softmax of"):
        list(kind.run(case))
    for expected in kind.expected.values():
        expected -= 1


def test_a_leak_is_a_finding_and_what_the_first_case_keeps_is_not(monkeypatch) -> None:
    monkeypatch.setattr(load, "_WARM", 2)
    monkeypatch.setattr(load, "_WINDOW", 1)
    kind, left = Load("softmax"), []
    case = replace(kind.case(1, 0), repeats=1)
    kind._prepare()
    function = kind.compiled["softmax"]

    def leaks(x: torch.Tensor) -> torch.Tensor:
        left.append(bytearray(20_000))
        return function(x)

    kind.compiled["softmax"] = leaks
    list(kind.run(case))
    kind.compiled["softmax"] = function
    for _ in range(4):
        list(kind.run(case))
    kind.compiled["softmax"] = leaks
    # Dynamo may compile meanwhile, and the comparison begin anew.
    with pytest.raises(AssertionError, match=r"grown by \d+\.\d+ MiB of malloc's"):
        _ = [list(kind.run(case)) for _ in range(12)]
