"""The sizes of what operators make. Beside ATen's own: tests/operators/test_database.py."""

import pytest

from gint.plan.memory import Typed, made_by
from gint.plan.results import result_of


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
    typed = [Typed(a, "float32", 0) if isinstance(a, tuple) else a for a in args]
    assert result_of(operator, typed, {}) == shape


def test_arguments_that_no_operator_takes_are_a_sentence():
    for args in ((), (1, 2), (Typed((3,), "float32", 12),), (Typed((), "bool", 1), "x")):
        with pytest.raises(ValueError, match=r"aten\.mm\.default does not take such arguments"):
            made_by("aten.mm.default", args, {})
