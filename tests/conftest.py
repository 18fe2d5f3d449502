"""What every test may ask for: a backend, one usable here. What a machine lacks is left out, and
said once: tests marked `gpu` without a CUDA device, files that import a test package it has not.

The installed wheel holds what the checkout's tests have run already. What its run proves is that
nothing is missing in it and that it works without torch, so one case of each test is enough there.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from gint.backend import registry

#: Packages of the extra `test` that tests import; a GPU machine without network may lack some.
_PACKAGES = ("hypothesis", "mpmath", "expecttest", "ml_dtypes", "gguf", "transformers")
_MISSING = [name for name in _PACKAGES if find_spec(name) is None]
_ROOT = Path(__file__).resolve().parent.parent
_REQUIRED = os.environ.get("GINT_REQUIRE", "").replace(" ", "").split(",")
# A device's first kernel build may take longer than a user is kept waiting for a probe.
os.environ.setdefault("GINT_PROBE_SECONDS", "60")
# Processes that share the cores: threads that wait leave them to others instead of asking on.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
#: The backends of tensors that do not live in the host's memory.
_GPUS = [name for name, e in registry.BACKENDS.items() if e.serves not in (None, "cpu")]

if "hypothesis" not in _MISSING:
    from hypothesis import HealthCheck, settings

    # Timings vary on shared machines; the number of examples is what bounds the suite.
    settings.register_profile(
        "suite", deadline=None, max_examples=50, suppress_health_check=list(HealthCheck)
    )
    settings.register_profile("thorough", parent=settings.get_profile("suite"), max_examples=2000)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Every file's tests have the suite's profile: torch.testing loads another when imported."""
    if "hypothesis" not in _MISSING:
        settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.gpu] if name in _GPUS else [])
        for name in registry.names()
    ]
)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend in turn; skips those not usable here, unless GINT_REQUIRE has it."""
    _need(request.param)
    return request.param


def _need(name: str) -> None:
    answer = registry.probe(name)
    if not answer.usable:
        report = pytest.fail if name in _REQUIRED else pytest.skip
        report(f"backend {name!r}: {answer.reason}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked with the name of a backend need it."""
    for name in registry.names():
        if item.get_closest_marker(name):
            _need(name)


@pytest.fixture(autouse=True)
def _no_records_of_other_tests() -> None:
    """`gint.conductor.statistics()` begins empty, for tests that look at what they compiled."""
    if records := sys.modules.get("gint.conductor.records"):
        records.clear()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that need a GPU are deselected where there is none, unless it is required."""
    kept = items
    if not any(name in _REQUIRED or registry.probe(name).usable for name in _GPUS):
        kept = [item for item in kept if not item.get_closest_marker("gpu")]
    if "GINT_TEST_WHEEL" in os.environ:
        kept = one_case_each(kept)
    if left_out := set(items) - set(kept):
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_collection_finish() -> None:
    """What importing and collecting has made stays to the end: the collector need not look at its
    600,000 objects again and again."""
    gc.collect()
    gc.freeze()


def one_case_each(items: list[pytest.Item]) -> list[pytest.Item]:
    """The first case of every test function, for every backend it runs on."""
    found: dict[tuple[str, object], pytest.Item] = {}
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        found.setdefault((item.nodeid.partition("[")[0], parameters.get("backend")), item)
    return list(found.values())


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Files that cannot be imported without a missing test package."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if is_test and _imports_missing(collection_path) else None


@cache
def _imports_missing(path: Path) -> bool:
    """Whether a file of tests imports a missing package, itself or by another file of tests."""
    found = re.findall(r"^(?:from|import) ([\w.]+)", path.read_text(encoding="utf-8"), re.M)
    ours = (_ROOT / (name.replace(".", "/") + ".py") for name in found if name.startswith("tests."))
    return any(name.split(".")[0] in _MISSING for name in found) or any(
        _imports_missing(other) for other in ours if other.exists()
    )


def pytest_report_header() -> list[str]:
    lines = []
    answers = [registry.probe(name) for name in _GPUS]
    if not any(answer.usable for answer in answers):
        reasons = " ".join(answer.reason.splitlines()[0] for answer in answers)
        lines.append(f"gint: tests marked `gpu` are deselected: {reasons}")
    if _MISSING:
        lines.append(f"gint: files that import {', '.join(_MISSING)} are left out: not installed")
    return lines
