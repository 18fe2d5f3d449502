"""Equal values are computed once, but for what is returned, drawn or changed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.duplicates import merge_equal

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def merged(function, *args: torch.Tensor) -> list[str]:
    """The operators that are left of a function's graph, which still computes the same."""
    module = make_fx(function)(*args)
    module.graph.eliminate_dead_code()
    expected = function(*args)
    merge_equal(module.graph)
    module.graph.lint()
    module.recompile()
    torch.testing.assert_close(module(*args), expected)
    return [n.target.__name__ for n in module.graph.nodes if n.op == "call_function"]


def test_equal_values_and_what_is_made_of_them_are_merged():
    found = merged(lambda x: ((x * 2).exp() + (x * 2).exp()).neg(), torch.randn(3))
    assert found == ["mul.Tensor", "exp.default", "add.Tensor", "neg.default"]


def test_items_of_equal_calls_are_merged():
    found = merged(lambda x: x.max(0).values + x.max(0).values, torch.randn(3, 4))
    assert found == ["max.dim", "getitem", "add.Tensor"]


@pytest.mark.parametrize("pair", [(1, 1.0), (True, 1), (0.0, -0.0)])
def test_numbers_that_compare_equal_are_not_the_same(pair):
    found = merged(lambda x: ((x / pair[0]).abs(), (x / pair[1]).abs()), torch.randn(3))
    assert found.count("div.Tensor") == 2


def test_results_are_tensors_of_their_own():
    found = merged(lambda x: (x * 2, (x * 2).view(3, 1), (x * 2).exp()), torch.randn(3))
    assert found == ["mul.Tensor", "mul.Tensor", "view.default", "exp.default"]


def test_memory_without_values_and_draws_are_left_alone():
    def function(x):
        a, b = torch.empty_like(x), torch.empty_like(x)
        return aten.fill.Scalar(a, 1) + aten.fill.Scalar(b, 1)

    assert merged(function, torch.randn(3)).count("empty_like.default") == 2
    module = make_fx(lambda x: torch.rand_like(x) + torch.rand_like(x))(torch.randn(3))
    merge_equal(module.graph)
    assert sum(n.target is aten.rand_like.default for n in module.graph.nodes) == 2


def test_nothing_is_merged_across_a_change():
    def function(x):
        before = x * 2
        return before.exp() + (x.add_(1) * 2).exp() + (x * 2).exp()

    module = make_fx(function)(torch.randn(3))
    x = torch.randn(3)
    expected = function(x.clone())
    merge_equal(module.graph)
    module.recompile()
    torch.testing.assert_close(module(x.clone()), expected)


def test_sizes_that_data_tells_keep_their_names(fresh_dynamo):
    def function(x):
        return x.nonzero().sum() + x.nonzero().abs().sum()

    x = torch.tensor([1.0, 0.0, 3.0, 4.0])
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(function, backend="gint", options={"check": True})
        assert compiled(x) == function(x)
