"""Places: who lies where in memory, and for how long."""

import pytest

from tests.kernel.interpreter.cpp.schedule.building import names_in

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize("case", names_in("places.cpp"))
def test_places(run, case):
    run(case)
