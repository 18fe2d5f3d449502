"""The cost of a plan: graphs have the steps they are named for, and the sums are right."""

from __future__ import annotations

import pytest

from benchmarks.plan_cost import STEPS, kinds, measure, report_of
from gint.measuring.clock import Effort

pytestmark = pytest.mark.checkout
torch = pytest.importorskip("torch")

ONCE = Effort(rounds=1, batch_s=0.0, least=1)


@pytest.mark.parametrize("name", ["launch", "addmm", "mixture"])
def test_a_graph_has_as_many_launches_as_it_says(name: str) -> None:
    with torch.no_grad():
        found = measure(kinds()[name], ONCE)
    assert all(seconds >= 0 for seconds in found.values())
    assert ("operators" in found) == (name != "launch")


def test_what_is_beyond_is_per_step() -> None:
    us = 1e-6 * STEPS
    row = {"call": 5 * us, "floor": 1 * us, "launches": 1 * us, "operators": 2 * us}
    report = report_of({"launch": row, "mm": row}, {"launch": STEPS, "mm": 0})
    assert report.data["beyond_us"] == {"launch": pytest.approx(1.0), "mm": pytest.approx(1.0)}
    assert [note.split(":")[0] for note in report.notes] == [
        "a launch in a plan, beyond its own work", "an extern in a plan, beyond its own work",
    ]  # fmt: skip
