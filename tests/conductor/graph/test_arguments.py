"""Equal keys, equal arguments; what only looks equal has another."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from torch import fx

from gint.conductor.graph.arguments import argument_key

pytestmark = pytest.mark.torch

GRAPH = fx.Graph()
X, Y = GRAPH.placeholder("x"), GRAPH.placeholder("y")
DIFFERENT = [
    0, 0.0, -0.0, False, None, "0", float("nan"), X, Y, (), (0,), (0.0,), ((0,),), (X, 0), {"a": 0},
    {"a": 0.0}, {"b": 0}, torch.float32, slice(0, 1), slice(0, 2), torch.device("cpu"),
]  # fmt: skip


def key(value):
    return argument_key(value, lambda node: ("node", node.name))


def test_different_arguments_have_different_keys():
    for a, b in itertools.combinations(DIFFERENT, 2):
        assert key(a) != key(b), (a, b)


@pytest.mark.parametrize("value", DIFFERENT, ids=repr)
def test_keys_are_equal_and_can_be_hashed(value):
    assert key(value) == key(value)
    hash(key(value))


def test_lists_are_tuples_and_names_have_no_order():
    assert key([0, [X]]) == key((0, (X,)))
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
