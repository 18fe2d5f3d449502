"""Symbolic sizes as a plan says them."""

import math

import pytest

pytest.importorskip("torch")
sympy = pytest.importorskip("sympy")

from hypothesis import given
from hypothesis import strategies as st
from torch.utils._sympy.functions import (
    FloorDiv,
    IntTrueDiv,
    Mod,
    ModularIndexing,
    PowByNatural,
    Where,
)

from gint.conductor.plan.expressions import expression, expressions
from gint.plan.contents import symbols_in
from gint.plan.expressions import evaluate, source

pytestmark = pytest.mark.torch
A, B = sympy.symbols("a b", integer=True, positive=True)
OPERATIONS = (
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: x - y,
    lambda x, y: FloorDiv(x, 3),
    lambda x, y: Mod(sympy.Abs(x), 5),
    lambda x, y: ModularIndexing(sympy.Abs(x), 2, 7),
    lambda x, y: sympy.Max(x, y),
    lambda x, y: sympy.Min(x, y, 4),
    lambda x, y: Where(sympy.Lt(A, y), x, y),
    lambda x, y: PowByNatural(y, sympy.Integer(2)),
)
INTEGERS = st.recursive(
    st.integers(1, 9) | st.sampled_from((A, B)),
    lambda inner: st.builds(lambda f, x, y: f(x, y), st.sampled_from(OPERATIONS), inner, inner),
    max_leaves=6,
)
#: torch's operators on integers take nothing else: its ModularIndexing of a fraction never ends.
FRACTIONS = st.builds(
    lambda f, x, y: f(IntTrueDiv(x, sympy.Integer(4)), y),
    st.sampled_from((
        lambda x, y: x, lambda x, y: x + y, lambda x, y: x * y, lambda x, y: y - x,
        lambda x, y: sympy.Max(x, y), lambda x, y: Where(sympy.Lt(A, y), x, y),
    )),
    INTEGERS, INTEGERS,
)  # fmt: skip
EXPRESSIONS = INTEGERS | FRACTIONS


@given(EXPRESSIONS, st.integers(1, 20), st.integers(1, 20))
def test_an_expression_computes_the_key(key, a, b):
    key = sympy.sympify(key)
    found = expression(int(key) if key.is_Integer else key)
    wanted = float(key.subs({A: a, B: b}))
    assert math.isclose(evaluate(found, {"a": a, "b": b}), wanted)
    assert math.isclose(eval(source(found), {"math": math}, {"a": a, "b": b}), wanted)
    assert symbols_in(found) == {str(s) for s in key.free_symbols}


def test_tuples_of_keys():
    found = expressions((1, A, 2 * A + 1))
    assert [evaluate(e, {"a": 5}) for e in found] == [1, 5, 11]


def test_a_size_without_a_word_is_refused():
    with pytest.raises(LookupError, match="no word for LambertW"):
        expression(sympy.LambertW(A))
