"""The loops of math_loops.cpp, built for each instruction set this machine has."""

import ctypes
from functools import partial
from pathlib import Path

import pytest

from tests.kernel.interpreter.cpp import math_loops
from tests.once import once


@pytest.fixture(scope="session", params=math_loops.TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    """Each instruction set in turn."""
    reason = math_loops.why_not(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="session")
def built(target: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built once for all workers of pytest."""
    folder = once(tmp_path_factory, f"loops_{target}", partial(math_loops.build, target))
    return folder / math_loops.LIBRARY


@pytest.fixture(scope="session")
def loops(built: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(built))
