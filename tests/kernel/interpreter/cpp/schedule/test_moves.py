"""Moves: what is read in place, gathered, transposed, streamed and prefetched."""

import pytest

from tests.kernel.interpreter.cpp.schedule.building import names_in

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize("case", names_in("moves.cpp"))
def test_moves(run, case):
    run(case)
