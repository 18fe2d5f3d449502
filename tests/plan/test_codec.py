"""Plans as JSON: what is written is read as it was; whatever else is read is refused in words."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.plan import (
    Allocate,
    Call,
    Check,
    Define,
    Expect,
    Foreign,
    Item,
    Launch,
    Named,
    Operation,
    Release,
    SlotUse,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.codec import (
    MOST_DEPTH,
    ForeignError,
    argument_of,
    expression_of,
    plan_of,
    written_argument,
    written_expression,
    written_plan,
    written_step,
)
from gint.plan.expressions import OPERATIONS
from tests.plan.saving import plan


def in_json(form: Any) -> Any:
    return json.loads(json.dumps(form))


# Forms that come back

NUMBERS = st.booleans() | st.integers(-(1 << 40), 1 << 40) | st.floats(allow_nan=False)
NAMES = st.from_regex(r"[a-z]\w{0,5}", fullmatch=True)


def operations(inner: st.SearchStrategy) -> st.SearchStrategy:
    def of(name: str) -> st.SearchStrategy:
        count = OPERATIONS[name].operands
        operands = st.lists(inner, min_size=count or 1, max_size=count or 4)
        return st.builds(Operation, st.just(name), operands.map(tuple))

    return st.sampled_from(sorted(OPERATIONS)).flatmap(of)


EXPRESSIONS = st.recursive(NUMBERS | st.builds(Symbol, NAMES), operations, max_leaves=6)
SIZES = st.lists(EXPRESSIONS, max_size=3).map(tuple)
VALUES = st.integers(0, 99)
LEAVES = (
    st.none() | NUMBERS | st.text(max_size=5) | st.builds(Use, VALUES)
    | st.builds(Named, st.sampled_from(("dtype", "device", "layout", "memory_format")), NAMES)
    | st.builds(Symbol, NAMES)
)  # fmt: skip
ARGUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(NAMES, inner, max_size=2)
        | st.builds(slice, inner, inner, inner)
    ),
    max_leaves=6,
)
TYPES = st.builds(TensorType, st.sampled_from(("float32", "bool")), SIZES, SIZES)
SLOTS = st.lists(st.builds(SlotUse, VALUES, EXPRESSIONS, EXPRESSIONS, SIZES), max_size=2)
STEPS = st.one_of(
    st.builds(Define, NAMES, VALUES, st.lists(VALUES | NAMES, max_size=3).map(tuple)),
    st.builds(Check, EXPRESSIONS, st.text(max_size=5)),
    st.builds(Allocate, VALUES, TYPES, NAMES),
    st.builds(Launch, VALUES, SIZES, SIZES, SLOTS.map(tuple), NAMES, st.booleans()),
    st.builds(
        Call, VALUES, NAMES, st.lists(ARGUMENTS, max_size=2).map(tuple),
        st.lists(st.tuples(NAMES, ARGUMENTS), max_size=2).map(tuple), st.booleans(),
    ),
    st.builds(Item, VALUES, VALUES, VALUES),
    st.builds(View, VALUES, VALUES, SIZES, SIZES, EXPRESSIONS),
    st.builds(Expect, VALUES, TYPES, st.booleans()),
    st.builds(Release, st.lists(VALUES, max_size=3).map(tuple)),
)  # fmt: skip


@given(EXPRESSIONS)
def test_a_size_comes_back(e):
    assert repr(expression_of(in_json(written_expression(e)))) == repr(e)


@given(ARGUMENTS)
def test_an_argument_comes_back(a):
    assert repr(argument_of(in_json(written_argument(a)))) == repr(a)


@given(STEPS)
def test_a_step_comes_back(step):
    read = plan_of({**written_plan(plan()), "steps": [in_json(written_step(step))]}, ())
    assert repr(read.steps) == repr((step,))


def test_numbers_that_json_has_no_word_for():
    written = in_json(written_argument([math.nan, math.inf, -math.inf]))
    assert written == [{"float": "nan"}, {"float": "inf"}, {"float": "-inf"}]
    assert repr(argument_of(written)) == "[nan, inf, -inf]"


def test_what_only_this_process_knows_cannot_be_written():
    for given_ in (Foreign(object(), "hook"), [Use(0), {"k": Foreign(object(), "hook")}]):
        with pytest.raises(ForeignError, match="A plan with hook cannot be saved") as found:
            written_argument(given_)
        assert found.value.foreign.name == "hook"
    with pytest.raises(ForeignError):
        written_step(Call(0, Foreign(len, "len"), ()))


# Forms that are refused


def places(form: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a form, and a place in it."""
    items = form.items() if isinstance(form, dict) else enumerate(form)
    for where, inner in items:
        yield form, where
        if isinstance(inner, (dict, list)):
            yield from places(inner)


def reason_against(form: Any) -> str | None:
    """Why a form is refused; what is not is read as what it says."""
    try:
        read = plan_of(form, ())
    except ValueError as error:
        return str(error)
    assert in_json(written_plan(read)) == in_json(form)
    return None


WRONG = (None, True, -1, 1.5, "x", [], [[]], {}, {"use": -1}, {"float": "1"}, {"tuple": 1})


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_wrong_part_is_refused_in_words_or_is_another_plan(wrong):
    form = in_json(written_plan(plan()))
    refused = 0
    for container, where in list(places(form)):
        before, container[where] = container[where], copy.deepcopy(wrong)
        reason = reason_against(form)
        assert reason is None or reason.startswith("the plan is malformed: ")
        refused += reason is not None
        container[where] = before
    assert refused > 30
    assert plan_of(form, plan().programs) == replace(plan(), programs=plan().programs)


@pytest.mark.parametrize(
    ("form", "is_not"),
    [
        ({"use": "3"}, "a whole number from 0"),
        ({"use": True}, "a whole number from 0"),
        ({"use": 3, "size": "n"}, "a record of float"),
        ({"slice": [1, 2]}, "a row of 3"),
        ({"dict": [[1, 2]]}, "a text"),
        ({"float": "1e9"}, "a number"),
        ({"size": ["no", 1]}, "a size"),
        ({"size": ["not", 1, 2]}, "the operands of 'not'"),
        ({"size": ["add"]}, "the operands of 'add'"),
    ],
)
def test_what_an_argument_is_not(form, is_not):
    with pytest.raises(ValueError, match=f"is not {is_not}"):
        argument_of(form)


@pytest.mark.parametrize(("read", "wrap"), [
    (argument_of, lambda x: [x]), (expression_of, lambda x: ["abs", x]),
])  # fmt: skip
def test_depth_is_bounded(read, wrap):
    form: Any = 1
    for _ in range(MOST_DEPTH):
        form = wrap(form)
    read(form)
    with pytest.raises(ValueError, match="malformed"):
        read(wrap(wrap(form)))


def test_an_unknown_step_or_one_of_too_many_parts():
    form = written_plan(plan())
    for step in ([], ["jump", 1], [["item"], 1], ["item", 1, 2], ["item", 1, 2, 3, 4]):
        with pytest.raises(ValueError, match="is not a step"):
            plan_of({**form, "steps": [step]}, ())
