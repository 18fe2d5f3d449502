"""The closed list of what is left whole: names that torch knows, each for one reason."""

from __future__ import annotations

import operator
from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.graph.externs import EXTERNS, is_extern, name_of

pytestmark = pytest.mark.torch
aten = torch.ops.aten
NAMES = [name for names in EXTERNS.values() for name in names]


def test_every_name_has_one_reason():
    assert [name for name, count in Counter(NAMES).items() if count > 1] == []


def test_every_name_is_one_of_atens():
    assert [name for name in NAMES if not hasattr(aten, name)] == []


def test_a_name_stands_for_all_overloads():
    for packet in (aten.mm, aten.cumsum, aten.copy_):
        overloads = [getattr(packet, name) for name in packet.overloads()]
        assert overloads
        assert all(map(is_extern, overloads))


def test_other_operators_and_functions_are_none():
    assert not is_extern(aten.add.Tensor)
    assert not is_extern(aten.mm)  # a packet is no target of a node
    assert not is_extern(operator.getitem)
    assert not is_extern("placeholder")


def test_name_of_an_operator_has_no_overload_and_a_function_has_its_own():
    assert name_of(aten.add.Tensor) == "aten.add"
    assert name_of(operator.getitem) == "getitem"
