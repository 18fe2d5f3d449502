"""What is remembered of launches, to be shown."""

import pytest

pytest.importorskip("torch")

from gint.backend import registry
from gint.conductor.plan.launch_record import LaunchRecord, preparing
from gint.host.launches import MOST_BOUND
from gint.program import assemble, verify
from tests.programs import SOFTMAX

pytestmark = pytest.mark.torch
LAYOUT = ((2, 8), (), ((64, 0, (8, 1)), (64, 0, (8, 1))))


class Kernel:
    def prepare(self, *layout, device):
        return layout, device

    def describe(self, *layout):
        return f"described {layout}"


def test_layouts_are_noted_as_they_are_prepared():
    prepare, layouts = preparing(Kernel(), 3)
    assert prepare(*LAYOUT) == (LAYOUT, 3)
    assert list(layouts) == [LAYOUT]
    assert LaunchRecord(None, Kernel(), layouts).schedules() == [f"described {LAYOUT}"]


def test_the_latest_are_kept():
    prepare, layouts = preparing(Kernel(), None)
    for n in range(MOST_BOUND + 5):
        prepare((n,), (), ())
    assert len(layouts) == MOST_BOUND
    assert layouts[-1] == ((MOST_BOUND + 4,), (), ())


def test_the_form_of_a_device_needs_none():
    verified = verify(assemble(SOFTMAX))
    kernel = registry.load("python").load(verified) if hasattr(registry, "load") else Kernel()
    (form,) = LaunchRecord(verified, kernel, [LAYOUT]).device_forms()
    assert "dispatches" in form
