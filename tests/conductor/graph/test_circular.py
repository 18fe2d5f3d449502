"""Pieces that are written one after the other, found to be a circular pad or not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.circular import find_circular_pads

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def graph_of(function, *args):
    return make_fx(torch.func.functionalize(function), tracing_mode="fake")(*args).graph


def targets(graph):
    return [str(n.target) for n in graph.nodes if n.op == "call_function"]


def padded(x, before, after):
    """What a pad of the last dimension writes, in another order."""
    n = x.shape[-1]
    out = x.new_empty((*x.shape[:-1], before + n + after))
    out[..., before : before + n] = x
    out[..., before + n :] = out[..., before : before + after]
    out[..., :before] = out[..., n : n + before]
    return out


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 0), (0, 5), (5, 5)])
def test_a_circular_pad(before, after):
    graph = graph_of(lambda x: padded(x, before, after), torch.randn(2, 3, 5))
    find_circular_pads(graph)
    (name,) = targets(graph)
    assert name == "aten._pad_circular.default"
    node = next(n for n in graph.nodes if n.op == "call_function")
    assert node.args[1] == [before, after]


def shifted(x):
    out = padded(x, 1, 2)
    out[..., :1] = out[..., 2:3]
    return out


def with_another(x):
    out = padded(x, 1, 2)
    out[..., :1] = x.sin()[..., :1]
    return out


def in_part(x):
    out = x.new_empty((2, 3, 9))
    out[..., 1:6] = x
    out.zero_()[..., 1:3] = x[..., :2]
    return out


@pytest.mark.parametrize("function", [shifted, with_another, in_part])
def test_something_else(function):
    x = torch.randn(2, 3, 5)
    graph = graph_of(function, x)
    find_circular_pads(graph)
    assert "aten._pad_circular.default" not in targets(graph)[-1:]
    module = torch.fx.GraphModule({}, graph)
    assert torch.equal(module(x), function(x))
