"""Limits, as the C headers have them."""

import re

from gint.isa import limits
from gint.isa.generate import header


def test_the_header_has_the_numbers():
    found = dict(re.findall(r"define GI_(\w+) (\d+)", header()))
    names = [name for name in vars(limits) if name.isupper()]
    assert names
    assert {name: int(found[name]) for name in names} == {n: getattr(limits, n) for n in names}
