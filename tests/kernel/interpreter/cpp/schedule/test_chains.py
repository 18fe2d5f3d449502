"""Chains: what extends one, what ends it, and where its result goes."""

import pytest

from tests.kernel.interpreter.cpp.schedule.building import names_in

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize("case", names_in("chains.cpp"))
def test_chains(run, case):
    run(case)
