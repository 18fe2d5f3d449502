"""The compiler's own conduct; what it makes of graphs is tested by its rooms and by results."""

import gc

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.compiler import collector_paused

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_is_afterwards_as_it_was(is_on):
    before = gc.isenabled()
    try:
        (gc.enable if is_on else gc.disable)()
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is is_on
        with pytest.raises(ZeroDivisionError), collector_paused():
            _ = 1 // 0
        assert gc.isenabled() is is_on
    finally:
        (gc.enable if before else gc.disable)()
