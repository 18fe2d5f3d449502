"""Which values are stored once: those whose users would together move more bytes otherwise."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.nodes import NodeKind
from gint.conductor.lowering.kinds import read_graph
from gint.conductor.partition.cost import worth_storing

pytestmark = pytest.mark.torch
MATRIX, OTHER = torch.empty(64, 64), torch.empty(64, 64)
ROW, COLUMN = torch.empty(64), torch.empty(64, 1)
LARGE, LONG = torch.empty(512, 1024), torch.empty(1024)


def stored(function, *args: torch.Tensor) -> set[str]:
    """The names of the values that are stored although nobody outside programs needs them."""
    module = make_fx(function, tracing_mode="fake")(*args)
    graph = read_graph(module.graph, "cpu", None)
    assert not graph.refusals
    output = next(reversed(graph.fx.nodes))
    required = {graph.base(n) for n in output.all_input_nodes}
    found = worth_storing(graph, required)
    assert not found & required
    assert all(graph.kinds[n] is NodeKind.COMPUTE for n in found)
    return {node.name for node in found}


def one_user(a, b):
    return (a * b).neg()


def two_users(a, b):
    """Each would read two matrices, instead of one; which is written, too."""
    total = a * b
    return total.abs(), total.neg()


def two_users_through_views(a, b):
    total = a * b
    return total.t().abs(), total.view(-1).neg()


def rows_and_columns(a, column):
    """Two programs, of which each reads a as it would read what is computed."""
    rest = (a - column) * column
    return rest.sum(0), rest - (rest * rest).sum(-1, keepdim=True)


def three_programs(a, b):
    """Of all users only those that lead to one result share a program."""
    total = (a - b) * 2
    return total.sum(0), total.sum(-1), total.sum()


def broadcast(row, column):
    """A matrix of two vectors: computing it again reads next to nothing."""
    total = row * column
    return total.abs(), total.neg()


def dear_broadcast(row, column):
    """Eight loads' worth of exponentials an element are more than one load."""
    total = (row * column).exp().exp()
    return total.abs(), total.neg()


def many_cheap_steps(row, column):
    """Cheap work adds up, too, until it is more than a load."""
    total = row * column
    for _ in range(8):
        total = total.neg()
    return total.abs(), total.sign()


def few_cheap_steps(row, column):
    total = (row * column).neg()
    return total.abs(), total.sign()


def needed_outside(a, b):
    """Stored anyway."""
    total = a * b
    return total, total.neg()


def sum_used_twice(a, b):
    """The sums are small, what they are made of is not."""
    sums = a.sum(-1, keepdim=True)
    return a - sums, b - sums


def dear_row(row, column):
    """Computed in the program of the matrix it would be computed anew for each column."""
    return row.exp() * column


def cheap_row(row, column):
    return row.neg() * column


def steps_of_a_row(row, large):
    """Four cheap steps are worth a program of their own where they would be repeated for many
    rows; what follows an element that is not a number of the same size is no reduction."""
    return large + (row.to(torch.int32) * 2 + 1).to(torch.float64).neg().abs()


def dear_row_folded(row, column):
    """Its user is as small as it is."""
    return row.exp().sum()


def sum_of_nothing(a):
    """Its bytes are none, and larger is what is made of it."""
    return a.neg().sum()


def statistics_of_rows(a):
    """Dear and widened, but of a reduction: the program that folds the rows goes on with them."""
    return a * a.sum(-1, keepdim=True).exp()


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (one_user, (MATRIX, MATRIX), set()),
        (two_users, (MATRIX, OTHER), {"mul"}),
        (two_users, (MATRIX, MATRIX), set()),
        (two_users_through_views, (MATRIX, OTHER), {"mul"}),
        (rows_and_columns, (MATRIX, COLUMN), set()),
        (three_programs, (MATRIX, OTHER), {"mul"}),
        (broadcast, (ROW, COLUMN), set()),
        (dear_broadcast, (ROW, COLUMN), {"exp_1"}),
        (many_cheap_steps, (ROW, COLUMN), {"neg_7"}),
        (few_cheap_steps, (ROW, COLUMN), set()),
        (needed_outside, (MATRIX, MATRIX), set()),
        (sum_used_twice, (MATRIX, MATRIX), {"sum_1"}),
        (dear_row, (ROW, COLUMN), {"exp"}),
        (cheap_row, (ROW, COLUMN), set()),
        (steps_of_a_row, (LONG, LARGE), {"abs_1"}),
        (steps_of_a_row, (ROW, MATRIX), set()),
        (dear_row_folded, (ROW, COLUMN), set()),
        (sum_of_nothing, (torch.empty(0),), set()),
        (statistics_of_rows, (MATRIX,), set()),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_choice(function, args, expected):
    assert stored(function, *args) == expected


def test_symbolic_sizes_are_estimated_without_a_guard():
    module = make_fx(two_users, tracing_mode="symbolic")(MATRIX, OTHER)
    graph = read_graph(module.graph, "cpu", None)
    env = next(iter(graph.fx.nodes)).meta["val"].shape[0].node.shape_env
    before = list(env.guards)
    assert {n.name for n in worth_storing(graph, set())} == {"mul"}
    assert list(env.guards) == before
