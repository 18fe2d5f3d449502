"""Sizes as trees: what they compute, and that none takes long."""

import math

import pytest

from gint.plan.expressions import (
    OPERATIONS,
    EvaluationError,
    Operation,
    Symbol,
    evaluate,
    source,
)

N = Symbol("n")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_what_python_writes(name):
    count = OPERATIONS[name].operands or 3
    operands = (0.5,) if count == 1 and name not in ("not", "abs") else (7, 2, 3)[:count]
    e = Operation(name, operands)
    assert evaluate(e, {}) == eval(source(e), {"math": math})
    inner = Operation(
        name, (Operation("add", (N, 0.25)) if operands == (0.5,) else N, *operands[1:])
    )
    known = {"n": 0.25 if operands == (0.5,) else 7}
    assert evaluate(inner, known) == eval(source(inner), {"math": math}, known)


@pytest.mark.parametrize(
    ("e", "reason"),
    [
        (Operation("floordiv", (N, 0)), "n // 0 has no value"),
        (Operation("mul", (N, 1 << 62)), "beyond 64 bits"),
        (Operation("pow", (9, 10**9)), "power"),
        (Operation("lshift", (1, 10**9)), "power"),
        (Operation("pow", (-8, 0.5)), "beyond 64 bits"),
        (Symbol("m"), "The size m is not known"),
    ],
)
def test_what_has_no_value_is_said(e, reason):
    with pytest.raises(EvaluationError, match=reason):
        evaluate(e, {"n": 3})
