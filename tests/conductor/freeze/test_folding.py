"""Constants in a graph: what is computed from them alone, and what is not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.freeze.folding import fold

pytestmark = pytest.mark.torch


def folded(function, *args, constant=(0,)):
    traced = make_fx(function, tracing_mode="fake")(*args)
    module = torch.fx.GraphModule(nn.Module(), traced.graph)
    fold(module, {n: args[n] for n in constant})
    module.graph.eliminate_dead_code()
    module.recompile()
    given = [a for n, a in enumerate(args) if n not in constant]
    torch.testing.assert_close(module(*given), function(*args))
    return [n.target._schema.name for n in module.graph.nodes if n.op == "call_function"]


def test_what_depends_on_constants_alone_is_computed():
    w, x = torch.randn(3, 4), torch.randn(4)
    assert folded(lambda w, x: (w.t() * 2).sum(1) + x, w, x) == ["aten::add"]
    assert folded(lambda w, v, x: (w @ v) * x.sum(), w, x + 1, x, constant=(0, 1)) == [
        "aten::sum", "aten::mul",
    ]  # fmt: skip


def test_what_grows_is_computed_anew():
    w, x = torch.randn(3, 1), torch.randn(3, 400)
    assert "aten::expand" in folded(lambda w, x: w.expand(3, 400).exp() + x, w, x)


def test_random_numbers_are_drawn_at_every_call():
    w, x = torch.ones(3), torch.ones(3)
    traced = make_fx(lambda w, x: torch.rand_like(w) + x, tracing_mode="fake")(w, x)
    module = torch.fx.GraphModule(nn.Module(), traced.graph)
    fold(module, {0: w})
    module.recompile()
    assert not torch.equal(module(x), module(x))


def test_constants_are_not_trained():
    w = nn.Parameter(torch.ones(3))
    traced = make_fx(lambda w, x: w + x, tracing_mode="fake")(w.detach(), torch.ones(3))
    constants = fold(torch.fx.GraphModule(nn.Module(), traced.graph), {0: w})
    assert not any(t.requires_grad for t in constants.values.values())
