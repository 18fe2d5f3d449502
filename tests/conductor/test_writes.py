"""Buffers filled piece by piece: a program a piece, in the buffer's memory, on every backend."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import gint
from gint.conductor import explain, export

from .comparing import Call, Traced

pytestmark = pytest.mark.torch
X = torch.arange(7 * 5 * 6.0).view(7, 5, 6)


def filled(x):
    out = torch.zeros_like(x)
    out[:, 0] = x[:, 1] * 2
    out[1:6:2, 1:3] = x[1:6:2, 1:3] - 1
    out[-1, 3:, ::2] = 5
    out[2] += 1
    return out * 1


def running(x):
    for i in range(1, 7):
        x = x.clone()
        x[i] = x[i] + x[i - 1]
    return x


def shifted(x):
    """Reads the old values."""
    x = x + 0
    x[1:] = x[:-1] + x[1:]
    return x


def both(x):
    """The buffer is wanted before and after."""
    before = x * 2
    after = before.clone()
    after[0] = 1
    return before.sum(0), after


def through_a_view(x):
    x = x + 0
    x.view(-1)[3:9] = 0
    x.transpose(0, 2)[1] = 4
    return x


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64], ids=str)
@pytest.mark.parametrize("function", [filled, running, shifted, both, through_a_view])
def test_as_eager(interpreters, function, dtype):
    call = Call.of(function, X.to(dtype))
    traced, expected = Traced(call), call.eager()
    for backend in interpreters:
        found = traced.run(traced.compile(backend))
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("function", [filled, running, shifted])
def test_nothing_is_left_to_aten(function):
    (graph,) = explain(function, X).graphs
    assert (graph.externs, graph.fallbacks) == ({}, ())


def test_the_rest_is_not_copied():
    (graph,) = explain(filled, X).graphs
    assert "clone" not in graph.plan
    (graph,) = explain(shifted, X).graphs
    assert graph.plan.count("clone") == 1


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_sizes_that_change(options, fresh_dynamo, size):
    def function(x, n):
        out = x.new_zeros(x.size(0), 8)
        out[:, 2:5] = x[:, :3] * n
        out[:, -1] = x.sum(1)
        return out

    compiled = torch.compile(function, backend="gint", dynamic=True, options=options)
    for rows in (3, size):
        x = torch.randn(rows, 4)
        torch.testing.assert_close(compiled(x, 2), function(x, 2))


def test_an_input_is_changed_where_it_lies(options, fresh_dynamo):
    def function(x):
        x[:, 1:3] += 1
        x[0] = x[1] * 2
        return x.sum()

    ours, theirs = X.clone(), X.clone()
    compiled = torch.compile(function, backend="gint", options=options)
    torch.testing.assert_close(compiled(ours), function(theirs))
    assert torch.equal(ours, theirs)
    (graph,) = explain(function, X.clone()).graphs
    assert graph.externs == {}


def test_gradients(options, fresh_dynamo):
    def function(x, y):
        out = x * 2
        out[1:3] = y * x[0]
        out[:, 0] *= 3
        return (out * out).sum()

    gradients = []
    for f in (function, torch.compile(function, backend="gint", options=options)):
        x, y = X.clone().requires_grad_(), X[:2].clone().requires_grad_()
        f(x, y).backward()
        gradients.append((x.grad, y.grad))
    torch.testing.assert_close(*gradients)


def test_saved_and_run_without_torch(tmp_path):
    class Filled(torch.nn.Module):
        def forward(self, x):
            return filled(x), both(x)[1]

    path = tmp_path / "filled.gint"
    export(Filled(), (X,), path=path)
    for name in ("cpp", "python"):
        found = gint.load(path, backend=name)(X.numpy())
        for ours, eager in zip(found, Filled()(X), strict=True):
            assert (ours == eager.numpy()).all()
