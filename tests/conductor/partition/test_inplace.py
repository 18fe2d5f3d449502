"""Inputs written where they lie: never where somebody would still read what they held.

Functions that end in copies into their inputs are partitioned and then run unit by unit
(unit_memory.py). What is left in memory and what is returned must be eager's.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tests.conductor.partition.unit_memory import (
    INPUTS,
    Case,
    assert_like_eager,
    assert_written_after_read,
)

pytestmark = pytest.mark.torch
aten = torch.ops.aten
# Generated functions

ONE = {
    "sine": torch.sin,
    "double": lambda v: v * 2,
    "backwards": lambda v: v.flip(0),
    "sum": lambda v: v.sum(0, keepdim=True) + v,
    "transpose": lambda v: v.t(),
    "first row": lambda v: v[:1].expand(5, 5),
}
TWO = {
    "add": torch.add, "mul": torch.mul, "product": torch.mm,
    "scatter": lambda v, w: v.index_add(0, rows(), w),
    "second scatter": lambda v, w: aten.index_put(v, [None, rows()], w, True),
    "row": lambda v, w: aten.select_scatter(v, w[1], 0, -1),
    "columns": lambda v, w: aten.slice_scatter(v, w[:, 1:], 1, 0, 4),
    "piece": lambda v, w: nested(v, w[0, 1:]),
}  # fmt: skip
VIEWS = ("transpose", "first row")


def nested(v, piece):
    """`v[1, 1:] = piece`, as it is traced."""
    row = aten.slice_scatter(aten.select(v, 0, 1), piece, 0, 1, 9)
    return aten.select_scatter(v, row, 0, 1)


def rows() -> torch.Tensor:
    return torch.arange(5) % 2


@st.composite
def functions(draw):
    """A function of three matrices that writes some of them at its end, and returns some values."""
    steps, shows = [], list(range(INPUTS))  # shows: the value whose memory each one looks at
    for _ in range(draw(st.integers(1, 6))):
        i, j = (draw(st.integers(0, len(shows) - 1)) for _ in range(2))
        name = draw(st.sampled_from((*ONE, *TWO)))
        steps.append((name, i, j))
        shows.append(shows[i] if name in VIEWS else len(shows))
    made = st.integers(INPUTS, len(shows) - 1)
    written = draw(st.permutations(range(INPUTS)))[: draw(st.integers(1, INPUTS))]
    copies = [(target, draw(made)) for target in written]
    results = draw(st.lists(made, max_size=2))

    def function(*given):
        values = list(given)
        for name, i, j in steps:
            values.append(ONE[name](values[i]) if name in ONE else TWO[name](values[i], values[j]))
        # A view of an input would change while the copies run; AOTAutograd leaves none there.
        values = [v + 0 if shows[k] < INPUTS <= k else v for k, v in enumerate(values)]
        for target, k in copies:
            given[target].copy_(values[k])
        return [values[k] for k in results]

    return function


@given(functions())
def test_generated_functions(function):
    case = Case(function)
    assert_like_eager(case, function)
    assert_written_after_read(case)


# A function for each rule


def increment(x, y, z):
    x.copy_(x + 1)
    return ()


def row_by_row(x, y, z):
    x.copy_(x.softmax(-1))
    return ()


def reader_of_the_old(x, y, z):
    """The product has to come first."""
    product = x @ x
    x.copy_(x + 1)
    return (product,)


def reader_of_old_and_new(x, y, z):
    """The product would have to come first and last."""
    new = x + 1
    product = x @ new
    x.copy_(new)
    return (product,)


def other_elements(x, y, z):
    x.copy_(x + x.flip(1))
    return ()


def returned_too(x, y, z):
    """The caller could write what it was given, and so change the input."""
    new = x + 1
    x.copy_(new)
    return (new,)


def one_value_for_two(x, y, z):
    new = z + 1
    x.copy_(new)
    y.copy_(new)
    return ()


def two_values_for_one(x, y, z):
    """The copies are effects, and stay in their order."""
    x.copy_(y + 1)
    x.copy_(z + 2)
    return ()


def exchange(x, y, z):
    """One of the two needs a place of its own meanwhile."""
    a, b = x + 0, y + 0
    x.copy_(b)
    y.copy_(a)
    return ()


def other_type(x, y, z):
    x.copy_((x + 1).half())
    return ()


def other_strides(x, y, z):
    x.copy_(y.t() + 1)
    return ()


def not_by_a_program(x, y, z):
    x.copy_(y @ z)
    return ()


def where_positions_say(x, y, z):
    x.copy_(x.index_add(0, rows(), y))
    return ()


def of_another(x, y, z):
    x.copy_(y.index_add(0, rows(), z))
    return ()


def of_itself(x, y, z):
    x.copy_(x.index_add(0, rows(), x))
    return ()


def of_itself_turned(x, y, z):
    x.copy_(x.index_add(0, rows(), x.t()))
    return ()


def into_a_row(x, y, z):
    x.copy_(aten.select_scatter(x, x[0] + y[0], 0, 0))
    return ()


def into_a_row_from_another(x, y, z):
    x.copy_(aten.select_scatter(x, x[1] + 1, 0, 0))
    return ()


def into_columns_from_those_beside(x, y, z):
    x.copy_(aten.slice_scatter(x, x[:, :2] + 1, 1, 1, 3))
    return ()


def into_a_piece_of_a_row(x, y, z):
    x.copy_(nested(x, y[0, 1:] * 2))
    return ()


def into_one_row_and_another(x, y, z):
    first = aten.select_scatter(x, y[0] + 1, 0, 0)
    x.copy_(aten.select_scatter(first, first[0] * 2, 0, 2))
    return ()


def into_two_rows_from_the_old(x, y, z):
    first = aten.select_scatter(x, y[0] + 1, 0, 0)
    x.copy_(aten.select_scatter(first, x[0] * 2, 0, 2))
    return ()


def into_a_row_of_another(x, y, z):
    x.copy_(aten.select_scatter(y, z[0] + 1, 0, 0))
    return ()


def into_a_row_that_is_returned(x, y, z):
    row = aten.select_scatter(x, y[0] + 1, 0, 0)
    x.copy_(row)
    return (row,)


def into_rows_of_what_is_made(x, y, z):
    made = aten.select_scatter(x + 1, y[0] * 2, 0, 0)
    return (aten.select_scatter(made, made[0] + z[1], 0, 1) * 2,)


def into_a_row_of_a_product(x, y, z):
    return (aten.select_scatter(x @ y, z[0] * 2, 0, 0),)


def into_a_row_read_before(x, y, z):
    made = x + 1
    return made @ z, aten.select_scatter(made, y[0] * 2, 0, 0)


def into_a_row_read_after(x, y, z):
    made = x + 1
    return (aten.select_scatter(made, y[0] * 2, 0, 0) @ made,)


def into_rows_apart(x, y, z):
    made = x + 1
    a, b = aten.select_scatter(made, y[0] * 2, 0, 0), aten.select_scatter(made, y[1] * 2, 0, 0)
    return a, b


def into_a_row_that_scatters(x, y, z):
    made = aten.select_scatter(x + 1, y[0] * 2, 0, 0)
    return (aten.select_scatter(made.index_add(0, rows(), y), y[1] + 1, 0, 2),)


def into_what_is_made(x, y, z):
    return ((x + 1).index_add(0, rows(), y) * 2,)


def one_after_the_other(x, y, z):
    return ((x + 1).index_add(0, rows(), y).index_add(0, rows(), z),)


def changed_and_read(x, y, z):
    made = x + 1
    return (made.index_add(0, rows(), y) @ made,)


def changed_and_returned(x, y, z):
    made = x + 1
    return made.index_add(0, rows(), y), made.t()


def read_before(x, y, z):
    made = x + 1
    return made.index_add(0, rows(), y), made @ z


@pytest.mark.parametrize(
    ("function", "placed", "copies"),
    [
        (increment, {"add": "x"}, 0),
        (row_by_row, {"_softmax": "x"}, 0),
        (reader_of_the_old, {"add": "x"}, 0),
        (reader_of_old_and_new, {}, 1),
        (other_elements, {}, 1),
        (returned_too, {}, 1),
        (one_value_for_two, {"add": "x"}, 1),
        (two_values_for_one, {}, 2),
        (exchange, {"add_1": "x"}, 1),
        (other_type, {}, 1),
        (other_strides, {}, 1),
        (not_by_a_program, {}, 1),
        (where_positions_say, {"index_add": "x"}, 0),
        (of_another, {"index_add": "x"}, 0),
        (of_itself, {}, 1),
        (of_itself_turned, {}, 1),
        (into_a_row, {"select_scatter": "x"}, 0),
        (into_a_row_from_another, {"select_scatter": "x"}, 0),
        (into_columns_from_those_beside, {}, 1),
        (into_a_piece_of_a_row, {"select_scatter": "x"}, 0),
        (
            into_one_row_and_another,
            {"select_scatter": "x", "select_scatter_1": "select_scatter"},
            0,
        ),
        (into_two_rows_from_the_old, {"select_scatter_1": "select_scatter"}, 1),
        (into_a_row_of_another, {}, 1),
        (into_a_row_that_is_returned, {}, 1),
        (
            into_rows_of_what_is_made,
            {"select_scatter": "add", "select_scatter_1": "select_scatter"},
            0,
        ),
        (into_a_row_of_a_product, {"select_scatter": "mm"}, 0),
        (into_a_row_read_before, {"select_scatter": "add"}, 0),
        (into_a_row_read_after, {}, 0),
        (into_rows_apart, {"select_scatter": "add"}, 0),
        (
            into_a_row_that_scatters,
            {
                "select_scatter": "add",
                "index_add": "select_scatter",
                "select_scatter_1": "index_add",
            },
            0,
        ),
        (into_what_is_made, {"index_add": "add"}, 0),
        (one_after_the_other, {"index_add": "add", "index_add_1": "index_add"}, 0),
        (changed_and_read, {}, 0),
        (changed_and_returned, {}, 0),
        (read_before, {"index_add": "add"}, 0),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_rules(function, placed, copies):
    case = Case(function)
    assert_like_eager(case, function)
    assert_written_after_read(case)
    assert case.placed == placed
    assert case.copies == copies
