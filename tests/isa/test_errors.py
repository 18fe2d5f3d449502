"""The bits of the error flag."""

import re

from gint.isa import errors
from gint.isa.generate import header

BITS = {name: bit for name, bit in vars(errors).items() if name.isupper()}


def test_they_are_single_bits_apart_from_one_another():
    assert all(bit > 0 and bit & (bit - 1) == 0 for bit in BITS.values())
    assert len(set(BITS.values())) == len(BITS)


def test_the_header_has_them():
    found = dict(re.findall(r"define GI_(\w+) (\d+)", header()))
    assert {name: int(found[name]) for name in BITS} == BITS
