"""What every test may ask for: a backend, one usable here."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

from gint.host import backends

# Timings vary on shared machines; the number of examples is what bounds the suite.
settings.register_profile(
    "suite", deadline=None, max_examples=50, suppress_health_check=list(HealthCheck)
)
settings.register_profile("thorough", parent=settings.get_profile("suite"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(params=backends.names())
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend in turn; skips those not usable here, unless GINT_REQUIRE has it."""
    name: str = request.param
    answer = backends.probe(name)
    if not answer.usable:
        required = os.environ.get("GINT_REQUIRE", "").replace(" ", "").split(",")
        report = pytest.fail if name in required else pytest.skip
        report(f"backend {name!r}: {answer.reason}")
    return name


@pytest.fixture(autouse=True)
def _no_records_of_other_tests() -> None:
    """`gint.conductor.statistics()` begins empty, for tests that look at what they compiled."""
    if records := sys.modules.get("gint.conductor.records"):
        records.clear()
