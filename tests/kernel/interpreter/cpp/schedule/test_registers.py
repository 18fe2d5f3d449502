"""Registers: where operands and results lie while a section is made."""

import pytest

from tests.kernel.interpreter.cpp.schedule.building import names_in

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize("case", names_in("registers.cpp"))
def test_registers(run, case):
    run(case)
