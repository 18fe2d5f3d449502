"""What the suite needs: a machine may have a GPU and no network, and then lacks test packages."""

import ast
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import one_case_each

pytestmark = pytest.mark.checkout

TESTS = Path(__file__).parents[1]
#: Of the project, on every machine that runs tests, or asked for by importorskip (torch).
THERE = {"numpy", "pytest", "gint", "airllm", "tests", "benchmarks", "torch"}


def test_files_of_tests_are_left_out_for_every_package_they_import():
    """An import at the top of a file would otherwise end the whole run; see conftest.py."""
    known = re.search(r"^_PACKAGES = \((.*)\)", (TESTS / "conftest.py").read_text(), re.M)
    imported = set()
    for path in TESTS.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    assert imported - sys.stdlib_module_names - THERE <= set(re.findall(r"\w+", known[1]))


def test_of_the_wheel_every_test_runs_once_on_every_backend():
    def case(name, **parameters):
        return SimpleNamespace(nodeid=name, callspec=SimpleNamespace(params=parameters))

    alone = SimpleNamespace(nodeid="a.py::test_z")
    cases = [
        case(f"a.py::test_{test}[{backend}-{shape}]", backend=backend, shape=shape)
        for test in "xy"
        for shape in (1, 2, 3)
        for backend in ("cpp", "python")
    ]
    assert one_case_each([*cases, alone]) == [*cases[:2], *cases[6:8], alone]
