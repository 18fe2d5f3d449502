"""The cases of this folder, built once for all workers of pytest."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.kernel.interpreter.cpp import math_loops
from tests.kernel.interpreter.cpp.schedule import building
from tests.once import once


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Runs a case by its name."""
    if math_loops.compiler() is None:
        pytest.skip("no C++ compiler (looked for $CXX, g++, clang++, c++)")
    folder = once(tmp_path_factory, "schedule_cases", building.build)
    return partial(building.run, folder / building.PROGRAM)
