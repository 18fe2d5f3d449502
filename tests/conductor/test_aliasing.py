"""Inputs that are written, and results that share memory, as in eager."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from .comparing import compiled

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


def test_inputs_changed_in_place(options) -> None:
    def f(x, y):
        x.add_(1)
        y.mul_(x)
        return x * y

    x, y = torch.randn(5), torch.randn(5)
    mine, theirs = [x.clone(), y.clone()], [x.clone(), y.clone()]
    torch.testing.assert_close(compiled(f, options)(*mine), f(*theirs))
    torch.testing.assert_close(mine, theirs)


def test_a_view_of_an_input_changed_in_place(options) -> None:
    def f(x):
        x[1:, ::2].mul_(3)
        return x.sum()

    mine = torch.randn(4, 6)
    theirs = mine.clone()
    torch.testing.assert_close(compiled(f, options)(mine), f(theirs))
    torch.testing.assert_close(mine, theirs)


def test_an_input_read_while_it_is_written(options) -> None:
    def f(x):
        x[1:] += x[:-1].clone()
        return x

    mine = torch.arange(8.0)
    theirs = mine.clone()
    compiled(f, options)(mine)
    f(theirs)
    torch.testing.assert_close(mine, theirs)


def test_out_argument(options) -> None:
    def f(x, out):
        torch.mul(x, 2, out=out)
        return out + 1

    x, mine, theirs = torch.randn(3), torch.zeros(3), torch.zeros(3)
    torch.testing.assert_close(compiled(f, options)(x, mine), f(x, theirs))
    torch.testing.assert_close(mine, theirs)


def test_the_same_tensor_as_two_inputs(options) -> None:
    def f(x, y):
        x.mul_(2)
        return x + y

    mine, theirs = torch.ones(4), torch.ones(4)
    torch.testing.assert_close(compiled(f, options)(mine, mine), f(theirs, theirs))
    torch.testing.assert_close(mine, theirs)


def test_buffers_of_a_module_change(options) -> None:
    torch.manual_seed(0)
    mine, theirs = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    x = torch.randn(8, 4)
    torch.testing.assert_close(compiled(mine, options)(x), theirs(x))
    torch.testing.assert_close(mine.running_var, theirs.running_var)
    assert mine.num_batches_tracked == 1


def test_an_output_that_is_a_view_of_an_input(options) -> None:
    def f(x):
        return x[1:].view(-1), x * 2

    x = torch.randn(4, 3)
    view, _ = compiled(f, options)(x)
    view.zero_()
    assert x[1:].abs().sum() == 0


def test_an_output_that_is_an_input(options) -> None:
    x = torch.randn(3)
    same, other = compiled(lambda x: (x, x + 1), options)(x)
    assert same is x
    torch.testing.assert_close(other, x + 1)


def test_the_same_output_twice(options) -> None:
    def f(x):
        y = x + 1
        return y, y

    a, b = compiled(f, options)(torch.ones(3))
    a.add_(1)
    torch.testing.assert_close(a, b)


def test_an_output_and_its_view(options) -> None:
    def f(x):
        y = x + 1
        return y, y[1:], y.t()

    y, part, turned = compiled(f, options)(torch.ones(3, 4))
    y.zero_()
    assert part.sum() == 0
    assert turned.shape == (4, 3)
    assert turned.sum() == 0


def test_results_kept_are_not_overwritten_by_later_calls(options) -> None:
    f = compiled(lambda x: x * 2, options)
    results = [f(torch.full((100_000,), float(i))) for i in range(6)]
    assert [r[0].item() for r in results] == [2.0 * i for i in range(6)]
    assert [r[-1].item() for r in results] == [2.0 * i for i in range(6)]


def test_a_negative_or_conjugate_beside_what_is_written(options) -> None:
    """A graph of the whole storage would not know of the bit, so that eager has to run it."""

    def function(a, b):
        a.mul_(2)
        return a + b, b * 3

    compiled = torch.compile(function, backend="gint", options=options)
    for beside in (torch._neg_view, torch.conj):
        found, expected = (
            run(x := torch.arange(4.0) + torch.tensor(0.5j), beside(x))
            for run in (compiled, function)
        )
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("view", [lambda v: v, lambda v: v.transpose(0, 2)[1:]])
def test_as_strided_of_what_lies_beside_a_written_argument(view, options) -> None:
    """With gradients it is read from a copy, which has another storage."""

    def function(v, w):
        v.fill_(2)
        strided = view(w).as_strided((2,), (1,), 3)
        return strided * 2, strided.log_softmax(0), w * w

    def run(function):
        base = torch.arange(60.0).sin().requires_grad_()
        memory = base * 1
        v, w = memory.as_strided((1,), (0,), 0), memory.as_strided((2, 3, 5), (1, 2, 6), 3)
        results = function(v, w)
        sum(r.sum() for r in results).backward()
        return *results, memory, base.grad

    compiled = torch.compile(function, backend="gint", options=options)
    torch.testing.assert_close(run(compiled), run(function))
