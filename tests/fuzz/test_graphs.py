"""Generated graphs as a kind of fuzz: cases follow from numbers, are written down, made smaller."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from tests.conductor import calls
from tests.fuzz.graphs import KIND

pytestmark = pytest.mark.torch


def test_a_case_follows_from_its_numbers_and_can_be_written_down() -> None:
    for number in range(8):
        case = KIND.case(1, number)
        written = json.dumps(KIND.dump(case))
        assert json.dumps(KIND.dump(KIND.case(1, number))) == written
        assert json.dumps(KIND.dump(KIND.load(json.loads(written)))) == written


def test_a_finding_is_made_smaller_until_only_its_cause_is_left() -> None:
    """The cause is a tanh with something written afterwards."""

    def fails(case) -> bool:
        texts = [s.text for s in case.function.steps]
        writes = [n for n, s in enumerate(case.function.steps) if not s.makes]
        return (
            "torch.tanh(x)" in texts and bool(writes) and writes[-1] > texts.index("torch.tanh(x)")
        )

    case = next(c for n in range(500) if fails(c := KIND.case(1, n)))
    assert len(case.function.steps) > 2
    while found := next((c for c in KIND.smaller(case) if fails(c)), None):
        case = found
    assert [s.makes for s in case.function.steps] == [True, False]
    assert (len(case.given), len(case.function.outputs)) == (1, 1)
    exec(compile(case.source(), "<a test>", "exec"), {})


def test_a_finding_prints_as_a_test(monkeypatch) -> None:
    case = KIND.case(1, 0)
    monkeypatch.setattr("tests.conductor.generated_calls.why_unlike_eager", lambda *_: "call 0: no")
    with pytest.raises(AssertionError, match="call 0: no\n\nimport torch\n") as found:
        list(KIND.run(case))
    assert "assert_like_eager(" in str(found.value)
    assert calls.numbers(0, 3, torch.bool).dtype is torch.bool
