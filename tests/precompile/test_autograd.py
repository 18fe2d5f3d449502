"""Graphs within what AOTAutograd saves of a function."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")
from torch._dynamo.aot_compile import AOTCompiledFunction

from gint.precompile.autograd import CompiledGraph
from tests.precompile import functions
from tests.precompile.ahead import MARKS, ahead

pytestmark = MARKS


def test_a_backward_graph_takes_gradients_that_are_negative_by_a_bit():
    _, x, _, weight = functions.data()

    def f(x, weight):
        return torch.nn.functional.gelu(x @ weight)

    def gradient(function):
        out = function(x, weight)
        lazy = torch._neg_view(torch.ones_like(out))
        return torch.autograd.grad(out, weight, lazy)[0]

    saved = AOTCompiledFunction.serialize(ahead(f, x, weight)).serialized_data
    loaded = AOTCompiledFunction.deserialize(saved)
    torch.testing.assert_close(gradient(loaded), gradient(f))


def test_what_torch_copies_is_the_graph_itself():
    def double(args):
        return (args[0] * 2,)

    graph = CompiledGraph(double, lambda: b"")
    assert copy.copy(graph) is copy.deepcopy(graph) is graph
    assert graph([3]) == (6,)


def test_bytes_that_are_no_graph_are_refused_when_they_are_unpickled():
    """torch takes that for a cache it does without."""
    graph = CompiledGraph(lambda args: (), lambda: b"nothing")
    with pytest.raises(RuntimeError, match="cannot be used"):
        pickle.loads(pickle.dumps(graph))
