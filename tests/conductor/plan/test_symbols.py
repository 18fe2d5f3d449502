import pytest

pytest.importorskip("torch")

from torch.fx.experimental.symbolic_shapes import CallMethodKey, ConvertIntKey, DivideByKey
from torch.utils._pytree import MappingKey, SequenceKey

from gint.conductor.plan.symbols import Symbols, path_steps
from gint.plan import Check, Define, Operation, Symbol, Use

pytestmark = pytest.mark.torch


def test_a_symbol_is_defined_once():
    symbols = Symbols()
    assert symbols.define("s0", 0, ("size", 1)) == [Define("s0", 0, ("size", 1))]
    assert symbols.define("s0", 1, ("size", 0)) == []


def test_an_unknown_symbol_is_refused():
    symbols = Symbols()
    steps = symbols.define("s0", 0, ("size", 0))
    symbols.refuse_unknown(steps, (Use(0), Symbol("s0")))
    unknown = Check(Operation("lt", (Symbol("s0"), Symbol("u1"))), "u1 is too small")
    with pytest.raises(LookupError, match="u1"):
        symbols.refuse_unknown([*steps, unknown], ())


def test_paths_of_torch():
    path = (CallMethodKey("size"), SequenceKey(0), DivideByKey(4))
    assert path_steps(path) == ("size", 0, "//4")
    assert path_steps((SequenceKey(1), ConvertIntKey())) == (1, "int")
    with pytest.raises(LookupError, match="no word for the path"):
        path_steps((MappingKey("x"),))
