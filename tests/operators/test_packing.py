"""What is made once of arrays that stay as they are."""

import gc

import numpy as np

from gint.operators import packing
from gint.operators.packing import packed


def test_made_once_of_what_is_read_only():
    calls = []

    def twice(x, *choices):
        calls.append(choices)
        return x * 2

    x = np.arange(3.0)
    assert packed(x, twice) is not packed(x, twice)  # it may change
    x.flags.writeable = False
    first = packed(x, twice)
    assert packed(x, twice) is first
    assert packed(x, twice, "other") is not first
    assert not first.flags.writeable
    assert calls == [(), (), (), ("other",)]


def test_forgotten_with_its_array():
    x = np.arange(3.0)
    x.flags.writeable = False
    before = len(packing._kept)
    packed(x, np.copy)
    assert len(packing._kept) == before + 1
    del x
    gc.collect()
    assert len(packing._kept) == before


def test_a_view_of_the_array_is_left_as_it_is():
    x = np.arange(6.0)
    x.flags.writeable = False
    assert packed(x, lambda a: a) is x
    assert packed(x, lambda a: a[::2]).base is x
