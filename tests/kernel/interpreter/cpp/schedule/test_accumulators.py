"""Accumulators: their memory, their groups, and the steps that fold into them."""

import pytest

from tests.kernel.interpreter.cpp.schedule.building import names_in

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize("case", names_in("accumulators.cpp"))
def test_accumulators(run, case):
    run(case)
