"""Memory while shapes change: beside what tracing alone leaves, a process grows by little."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.conductor.growth import measured

pytestmark = [pytest.mark.torch, pytest.mark.checkout]


@pytest.mark.parametrize(("case", "count"), [("dynamic", 200), ("static", 20)])
def test_a_process_grows_by_a_hundred_mib_more_than_aot_eager_at_most(case, count) -> None:
    assert measured(case, "gint", count) <= measured(case, "aot_eager", count) + 100
