"""Bindings, with and without addresses."""

import pytest

from gint.program import Binding, SlotBinding

LAYOUTS = ((64, 0, (4, 1)), (32, 2, (0, 1)))


def test_layouts_and_pointers_make_a_binding():
    made = Binding.of((4, 4), (7, 0.5), LAYOUTS, [1000, 2000])
    assert made.slots == (SlotBinding(1000, *LAYOUTS[0]), SlotBinding(2000, *LAYOUTS[1]))
    assert (made.layouts, made.pointers) == (LAYOUTS, (1000, 2000))
    assert Binding.of((4, 4), (7, 0.5), made.layouts, made.pointers) == made


@pytest.mark.parametrize("pointers", [[1], [1, 2, 3]])
def test_one_pointer_for_each_slot(pointers):
    with pytest.raises(ValueError, match="zip"):
        Binding.of((4, 4), (), LAYOUTS, pointers)
