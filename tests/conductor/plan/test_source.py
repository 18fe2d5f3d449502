import pytest

pytest.importorskip("torch")

from gint.conductor.plan.source import tuple_source, with_deletions

pytestmark = pytest.mark.torch


def test_nested_tuples_of_keys():
    sympy = pytest.importorskip("sympy")
    n = sympy.Symbol("s0", integer=True, positive=True)
    text = tuple_source((1, (n, 2 * n + 1), ()))
    assert eval(text, {"s0": 5}) == (1, (5, 11), ())


def test_a_variable_is_deleted_after_the_block_that_uses_it_last():
    blocks = [["v1 = f(a0)"], ["v2 = g(v1)", "v3 = h(a0)"], ["v4 = k(v2)"]]
    assert with_deletions(blocks, "return (v3, v4)") == [
        *("v1 = f(a0)", "v2 = g(v1)", "v3 = h(a0)", "del a0, v1"),
        "v4 = k(v2)",
    ]


def test_what_is_returned_is_kept():
    assert with_deletions([["v1 = f(a0)"], ["v2 = g(a1)"]], "return (v1, a0)") == [
        "v1 = f(a0)",
        "v2 = g(a1)",
    ]
