import pytest

pytest.importorskip("torch")

from gint.conductor.plan.symbols import Symbols

pytestmark = pytest.mark.torch


def call(text: str):
    space = {"torch": object()}
    exec(text, space)
    return space["call"]


def test_a_symbol_is_defined_once():
    symbols = Symbols()
    assert symbols.define("s0", "a0.size(1)") == ["s0 = a0.size(1)"]
    assert symbols.define("s0", "a1.size(0)") == []


def test_an_unknown_symbol_is_refused_and_an_attribute_is_none():
    symbols = Symbols()
    symbols.define("s0", "a0.size(0)")
    known = "def call(a0):\n    s0 = a0.size(0)\n    return torch.empty(s0, len(a0))\n"
    symbols.refuse_unknown(call(known), known)
    unknown = "def call(a0):\n    s0 = a0.size(0)\n    return torch.empty(s0, u1)\n"
    with pytest.raises(LookupError, match="u1"):
        symbols.refuse_unknown(call(unknown), unknown)
