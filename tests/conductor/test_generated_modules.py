"""Generated modules agree with eager: a slice of the campaign `tests.fuzz.modules`."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from random import Random

import pytest

torch = pytest.importorskip("torch")

from tests.conductor.generated_modules import random_module
from tests.conductor.module_cases import ModuleCase
from tests.fuzz.modules import KIND

pytestmark = pytest.mark.torch
_TRAINED = ModuleCase(1, "train", "rows", 8, ("nn.Linear(8, 8)", "nn.ReLU()"), ((2, 5), (3, 5)))


@pytest.mark.parametrize("way", ["train", "infer", "freeze", "weights", "export"])
def test_generated_modules(way: str) -> None:
    made = (random_module(Random(f"slice {n}"), most=2) for n in range(400))
    cases = list(islice((c for c in made if c.way == way and len(c.calls) < 3 and c.runs()), 2))
    assert len(cases) == 2
    for case in cases:
        assert not (why := case.why_unlike_eager()), f"{why}\n{case}"


def test_nearly_all_that_are_generated_run_in_eager() -> None:
    """One that raises there compares nothing."""
    made = [random_module(Random(f"runs {n}")) for n in range(40)]
    raising = [case for case in made if not case.runs()]
    assert len(raising) <= 4, raising


def test_a_case_prints_as_itself_and_can_be_written_down() -> None:
    for number in range(20):
        case = KIND.case(1, number)
        assert eval(repr(case)) == case
        assert KIND.load(json.loads(json.dumps(KIND.dump(case)))) == case


@pytest.mark.parametrize("what", ["result", "gradient of x", "0.weight"])
def test_what_differs_is_told(what: str, monkeypatch) -> None:
    seen = ModuleCase._seen

    def wrong(self, compile, dtype=None):
        found = seen(self, lambda m: m, dtype)
        if dtype is None and compile(None) is not None:
            found[1][what] += 1e-3
        return found

    monkeypatch.setattr(ModuleCase, "_compiled", lambda *_: "compiled")
    monkeypatch.setattr(ModuleCase, "_seen", wrong)
    assert _TRAINED._unlike(seen(_TRAINED, lambda m: m), "gint").startswith(f"call 1: {what}")


def test_a_finding_is_made_smaller() -> None:
    case = replace(_TRAINED, layers=("Residual(nn.Tanh(), nn.LayerNorm(8))", "nn.ReLU()"))

    def fails(c: ModuleCase) -> bool:
        return any("nn.Tanh()" in layer for layer in c.layers)

    while found := next((c for c in KIND.smaller(case) if fails(c)), None):
        case = found
    assert case.layers == ("nn.Tanh()",)
    assert (len(case.calls), case.training) == (1, False)
