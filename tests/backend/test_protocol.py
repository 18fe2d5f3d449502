"""Every backend offers what the protocol says, and answers with its values."""

import pytest

from gint.backend import registry
from gint.backend.protocol import ALL_TYPES, Capabilities, Probe
from gint.isa import DTYPES
from gint.isa.limits import MAX_SLOTS
from gint.program import assemble, verify
from tests.programs import SOFTMAX


@pytest.mark.parametrize("name", registry.names())
def test_a_backend_is_what_the_protocol_says(name):
    """Whether it is usable here or not."""
    try:
        made = registry.backend(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"this installation lacks {error.name}")
    assert made.name == name
    assert registry.backend(name) is made
    assert isinstance(made.capabilities, Capabilities)
    assert made.capabilities.max_slots >= 2
    assert made.capabilities.types <= ALL_TYPES
    answer = made.probe()
    assert isinstance(answer, Probe)
    assert answer.reason
    if answer.usable:
        assert (made.memory is None) == (made.device == "cpu")


def test_types_are_those_of_the_table():
    assert frozenset(t.name for t in DTYPES) == ALL_TYPES


def test_bounds_that_no_backend_narrows_hold_every_program():
    bounds = Capabilities()
    assert (bounds.max_slots, bounds.types) == (MAX_SLOTS, ALL_TYPES)


def test_a_kernel_says_what_it_decides_the_same_each_time(backend):
    kernel = registry.backend(backend).load(verify(assemble(SOFTMAX)))
    layout = (28 * 4, 0, (7, 1))
    said = kernel.describe((4, 7), (), (layout, layout))
    assert said == kernel.describe((4, 7), (), (layout, layout))
    assert said.strip()


def test_optional_parts_are_there_or_none(backend):
    """Whoever asks looks at the value, not at the backend's name."""
    made = registry.backend(backend)
    for part, method in (("quantized", "multiply"), ("dense", "multiply"), ("row_steps", "norm"),
                         ("memory", "upload")):  # fmt: skip
        found = getattr(made, part)
        assert found is None or callable(getattr(found, method))
