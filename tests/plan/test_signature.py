"""How saved functions are called, and what they say of a call that is another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.plan import Use
from gint.plan.signature import Signature, filled

SIGNATURE = Signature(
    (Use(0), [Use(1), (Use(2), 0.5)]), ("x", "parts"), {"mask": Use(3), "how": "mean"}, Use(0)
)


def test_arguments_by_position_and_by_name():
    by_position = SIGNATURE.inputs(("a", ["b", ("c", 0.5)]), {"mask": "d", "how": "mean"})
    by_name = SIGNATURE.inputs(
        (), {"parts": ("b", ["c", 0.5]), "how": "mean", "mask": "d", "x": "a"}
    )
    assert by_position == by_name == {0: "a", 1: "b", 2: "c", 3: "d"}


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((1, 2, 3), {}, "It takes 2 positional arguments, not 3"),
        ((), {}, "The argument 'x' is missing"),
        ((1, [2, (3, 0.5)]), {}, "The argument 'mask' is missing"),
        ((1,), {"y": 2}, "no argument 'y'. It takes: x, parts, mask, how"),
        ((1, [2, (3, 0.5)]), {"x": 1, "mask": 1, "how": "mean"}, "'x' is given twice"),
        ((1, 2), {}, "parts is a list of 2, not 2"),
        ((1, [2]), {}, "parts is a list of 2, not a list of 1"),
        ((1, [2, (3, 0.25)]), {}, r"parts\[1\]\[1\] was 0.5 .* cannot be 0.25 now"),
        ((1, [2, (3, 1)]), {}, r"parts\[1\]\[1\] was 0.5"),
        ((1, [2, (3, 0.5)]), {"mask": 1, "how": None}, "how was 'mean' .* cannot be None now"),
    ],
)
def test_another_call_is_refused(args, kwargs, reason):
    with pytest.raises(TypeError, match=reason):
        SIGNATURE.inputs(args, kwargs)


def test_equal_numbers_of_other_types_are_others():
    signature = Signature((1,), ("n",), {}, Use(0))
    for wrong in (True, 1.0):
        with pytest.raises(TypeError, match="n was 1"):
            signature.inputs((wrong,), {})


def test_a_dict_has_its_own_keys():
    signature = Signature(({"a": Use(0), "b": Use(1)},), ("d",), {}, Use(0))
    assert signature.inputs(({"b": 2, "a": 1},), {}) == {0: 1, 1: 2}
    with pytest.raises(TypeError, match="d is a dict with a, b, not a dict"):
        signature.inputs(({"a": 1},), {})


def test_a_parameter_without_a_name_is_given_by_position():
    signature = Signature((Use(0),), ("",), {}, Use(0))
    assert signature.inputs((5,), {}) == {0: 5}
    with pytest.raises(TypeError, match="'argument 0' is missing"):
        signature.inputs((), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "is_flat"),
    [
        ((Use(0), Use(1)), {}, True),
        ((), {}, True),
        ((Use(1), Use(0)), {}, False),
        ((Use(0),), {"k": Use(1)}, False),
        (([Use(0)],), {}, False),
    ],
)
def test_whether_arguments_are_the_inputs(args, kwargs, is_flat):
    assert Signature(args, ("",) * len(args), kwargs, None).is_flat is is_flat


TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.just(Use),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(TREES)
def test_a_tree_takes_apart_what_it_was_filled_with(tree):
    values: list[str] = []

    def numbered(t):
        if t is Use:
            values.append(f"value {len(values)}")
            return Use(len(values) - 1)
        if isinstance(t, dict):
            return {k: numbered(x) for k, x in t.items()}
        return type(t)(map(numbered, t)) if isinstance(t, (list, tuple)) else t

    made = numbered(tree)
    signature = Signature((made,), ("tree",), {}, None)
    assert signature.inputs((filled(made, values),), {}) == dict(enumerate(values))
