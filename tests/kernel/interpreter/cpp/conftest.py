"""The loops of math_loops.cpp, built for each instruction set this machine has."""

import pytest

from tests.kernel.interpreter.cpp import math_loops


@pytest.fixture(scope="session", params=math_loops.TARGETS)
def loops(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A library; each instruction set in turn."""
    reason = math_loops.why_not(request.param)
    if reason:
        pytest.skip(reason)
    return math_loops.build(request.param, tmp_path_factory.mktemp("loops"))
