"""The sizes of what operators make. Beside ATen's own: tests/operators/test_database.py."""

import math

import pytest

from gint.plan.demands import Typed, demand_of
from gint.plan.results import result_of


def typed(*shape, strides=None, dtype="float32"):
    in_order = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
    return Typed(shape, tuple(strides or in_order), dtype)


@pytest.mark.parametrize(
    ("operator", "args", "shape"),
    [
        ("aten.mm.default", ((3, 4), (4, 5)), (3, 5)),
        ("aten.constant_pad_nd.default", ((3, 4), [1, 2, -1, 0]), (2, 7)),
        ("aten.embedding.default", ((9, 4), (2, 3)), (2, 3, 4)),
        ("aten.relu.default", ((3,),), None),
    ],
)
def test_results_have_the_shape_of_their_rule(operator, args, shape):
    given = [typed(*a) if isinstance(a, tuple) else a for a in args]
    assert result_of(operator, given, {}) == shape


def test_arguments_that_no_operator_takes_are_a_sentence():
    for args in ((), (1, 2), (typed(3),), (typed(dtype="bool"), "x")):
        with pytest.raises(ValueError, match=r"aten\.mm\.default does not take such arguments"):
            demand_of("aten.mm.default", args, {})
