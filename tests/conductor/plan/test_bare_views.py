import pytest

torch = pytest.importorskip("torch")

from torch import nn

import gint.conductor
from gint.runtime.tensors.entry_points import only_reads
from gint.runtime.tensors.layouts import reinterpret

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def plan_of(function, *args) -> str:
    """The plan of one graph, after a comparison with eager."""
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="gint", options={"check": True}, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*args), function(*args))
    return gint.conductor.statistics()[-1].plan


def test_a_chain_of_views_before_a_product_is_one_call():
    def f(x, w):
        y = x + 1
        return y.view(2, 3, 4).permute(1, 0, 2).reshape(6, 4)[1:5] @ w.t()

    plan = plan_of(f, torch.randn(6, 4), torch.randn(5, 4))
    assert plan.count("reinterpret(") == 2
    assert "view" not in plan
    assert "permute" not in plan


def test_equal_views_are_taken_once():
    plan = plan_of(lambda x, w: (x @ w.t()) + (x * 2) @ w.t(), torch.ones(3, 4), torch.ones(5, 4))
    assert plan.count("reinterpret(") == 1


@pytest.mark.parametrize("offset", [0, 3, 8])
def test_an_input_lies_anywhere_in_its_storage(offset):
    base = torch.randn(64)
    compiled = torch.compile(lambda x, w: x.view(4, 8)[1:].t() @ w, backend="gint")
    w = torch.randn(3, 5)
    for start in (offset, 0, 5):
        x = base[start : start + 32]
        torch.testing.assert_close(compiled(x, w), x.view(4, 8)[1:].t() @ w)


def test_an_input_changed_through_a_view_is_seen_by_what_reads_it_after():
    def f(x, w):
        before = x.view(3, 4) @ w
        x.view(4, 3)[1].mul_(2)
        return before, x.view(3, 4) @ w

    x, w = torch.randn(12), torch.randn(4, 5)
    other = x.clone()
    torch.testing.assert_close(torch.compile(f, backend="gint")(x, w), f(other, w))
    torch.testing.assert_close(x, other)


def test_what_is_returned_is_a_view_of_its_base():
    def f(x, w):
        return x.view(4, 3), x.view(4, 3) @ w

    x, w = torch.randn(12), torch.randn(3, 5)
    shown, _ = torch.compile(f, backend="gint")(x, w)
    assert shown._base is x
    x.add_(1)
    assert shown._version == x._version
    torch.testing.assert_close(shown.flatten(), x)


def test_a_returned_view_of_what_is_made_here_is_the_only_one():
    x, w = torch.randn(6, 4), torch.randn(4, 4)
    assert plan_of(lambda x, w: (x @ w).view(2, 3, 4), x, w).count("reinterpret(") == 1
    two = plan_of(lambda x, w: (lambda y: (y.view(2, 12), y[1:]))(x @ w), x, w)
    assert "reinterpret(" not in two


def test_conjugates_and_negatives_stay_what_they_are():
    def f(x, w):
        return x.view(2, 3).conj() @ w, x.view(2, 3).conj().imag @ w.real

    x, w = torch.randn(6, dtype=torch.complex64), torch.randn(3, 4, dtype=torch.complex64)
    torch.testing.assert_close(torch.compile(f, backend="gint")(x, w), f(x, w))


def test_sizes_that_change():
    linear = nn.Linear(6, 4)

    def f(x):
        return linear(x.relu().view(x.shape[0] * 2, -1)[1:])

    compiled = torch.compile(f, backend="gint", dynamic=True)
    for rows in (2, 3, 7, 1):
        x = torch.randn(rows, 12)
        torch.testing.assert_close(compiled(x), f(x))


def test_only_what_reads_gets_bare_views():
    assert only_reads(aten.addmm.default)
    assert only_reads(aten.convolution.default)
    assert not only_reads(aten.view.default)  # returns what it is given
    assert not only_reads(aten.copy_.default)  # writes
    assert not only_reads(len)


def test_the_offset_counts_from_the_tensors_own():
    x = torch.arange(12.0)[2:]
    torch.testing.assert_close(reinterpret(x, (2, 3), (4, 1), 1), x.as_strided((2, 3), (4, 1), 3))
