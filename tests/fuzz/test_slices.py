"""A slice of every kind of fuzz, in this process: always the same cases."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.corpus import stored
from tests.fuzz.kinds import KINDS, kind

_SEED = 1
#: Graphs, modules and load have slices of their own.
_NAMES = [name for name in KINDS if name not in ("graphs", "modules", "load")]


@pytest.mark.parametrize("name", _NAMES)
def test_the_first_cases_of_a_campaign(name):
    tried = kind(name)
    count = {"programs": 4000, "bundles": 150, "arrays": 50}.get(name, 1500)
    outcomes = {o for n in range(count) for o in tried.run(tried.case(_SEED, n))}
    assert any(what.startswith("refused: ") for _, what in outcomes)
    assert any(not what.startswith("refused: ") for _, what in outcomes)


#: What torch exports is another file with every torch.
_STORED = [name for name in _NAMES if name not in ("bundles", "arrays")]


@pytest.mark.parametrize("name", _STORED)
def test_the_cases_that_are_checked_in(name):
    tried, cases = kind(name), list(stored(name))
    assert cases
    for case in cases:
        list(tried.run(case))


@pytest.mark.parametrize("name", _NAMES)
def test_a_case_follows_from_its_numbers_and_can_be_written_down(name):
    for number in range(40):
        tried, again = kind(name), type(kind(name))()
        case = tried.case(_SEED, number)
        assert tried.dump(again.case(_SEED, number)) == tried.dump(case)
        written = json.dumps(tried.dump(case))
        assert json.dumps(tried.dump(tried.load(json.loads(written)))) == written
