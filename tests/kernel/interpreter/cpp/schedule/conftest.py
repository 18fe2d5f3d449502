"""The cases of this folder, built once for all workers of pytest."""

import fcntl
import os
from collections.abc import Callable
from functools import partial

import pytest

from tests.kernel.interpreter.cpp import math_loops
from tests.kernel.interpreter.cpp.schedule import building


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Runs a case by its name."""
    if math_loops.compiler() is None:
        pytest.skip("no C++ compiler (looked for $CXX, g++, clang++, c++)")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "schedule_cases"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = folder / "cases"
        return partial(building.run, program if program.exists() else building.build(folder))
