"""Which products oneDNN computes, and that they are what eager torch computes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import explain
from gint.runtime.tensors import products
from gint.runtime.tensors.torch_shim import has_onednn, native_with_torch

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        native_with_torch() is None or not has_onednn(),
        reason="no native module, or a torch without oneDNN in its C shim",
    ),
]


@pytest.fixture(autouse=True)
def fresh_dynamo():
    torch._dynamo.reset()


@pytest.fixture
def faster(monkeypatch):
    monkeypatch.setattr(products, "is_faster", lambda: True)


def check(function, *args, by_onednn: int, **how):
    torch._dynamo.reset()
    with torch.no_grad():
        wanted = function(*args)
        (graph,) = explain(function, *args).graphs
        assert graph.plan.count("_linear_pointwise_default") == by_onednn
        found = torch.compile(function, backend="gint", options={"check": True}, **how)(*args)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4, equal_nan=True)
    return found


def test_a_linear_layer(faster):
    layer = torch.nn.Linear(128, 256)
    check(layer, torch.randn(2, 67, 128), by_onednn=1)
    check(torch.nn.Linear(131, 257, bias=False), torch.randn(97, 131), by_onednn=1)


def test_factors_of_any_layout(faster):
    a, b = torch.randn(64, 256), torch.randn(256, 300)
    check(lambda a, b: a @ b, a, b, by_onednn=1)
    check(lambda a, b: a.t() @ b.t(), torch.randn(256, 64), torch.randn(300, 256), by_onednn=1)
    wide = torch.randn(300, 512)
    check(lambda a, w: a @ w[:, 256:].t() + 1, a, wide, by_onednn=1)
    check(lambda a, b: (a @ b[:, 10:]) * 2, a, b, by_onednn=1)
    check(lambda a, b: a.expand(64, 256) @ b, torch.randn(256), b, by_onednn=1)


def test_one_factor_for_two_products_and_its_own_result(faster):
    w = torch.randn(256, 256) / 16
    check(lambda x, w: (x @ w.t()) @ w.t(), torch.randn(64, 256), w, by_onednn=2)
    check(lambda x, w: (x @ w.t(), w.t()), torch.randn(64, 256), w, by_onednn=1)


def test_what_is_left_to_blas(faster):
    check(lambda a, b: a @ b, torch.randn(64, 8), torch.randn(8, 64), by_onednn=0)  # small
    check(lambda a, b: a @ b, torch.randn(4, 2048), torch.randn(2048, 512), by_onednn=0)  # few rows
    added = torch.randn(64, 256), torch.randn(64, 256), torch.randn(256, 256)
    check(lambda c, a, b: torch.addmm(c, a, b), *added, by_onednn=0)
    a, b = torch.randn(64, 256).double(), torch.randn(256, 256).double()
    check(lambda a, b: a @ b, a, b, by_onednn=0)
    check(lambda a, b: a @ b, torch.randn(64, 0), torch.randn(0, 4096), by_onednn=0)
    with torch.backends.mkldnn.flags(enabled=False):
        check(lambda a, b: a @ b, torch.randn(64, 256), torch.randn(256, 256), by_onednn=0)


def test_elsewhere_than_on_amd_everything_is(monkeypatch):
    monkeypatch.setattr(products, "is_faster", lambda: False)
    check(lambda a, b: a @ b, torch.randn(64, 256), torch.randn(256, 256), by_onednn=0)


def test_values_that_are_no_numbers(faster):
    x = torch.randn(32, 256)
    x[3, 4], x[5, 6] = float("nan"), float("inf")
    found = check(torch.nn.Linear(256, 256).requires_grad_(False), x, by_onednn=1)
    assert found[3].isnan().all()
    assert not found[4].isnan().any()


def test_training(faster):
    layer, x = torch.nn.Linear(256, 256), torch.randn(64, 256)
    layer(x).square().sum().backward()
    wanted = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    torch.compile(layer, backend="gint")(x).square().sum().backward()
    torch.testing.assert_close([p.grad for p in layer.parameters()], wanted, rtol=1e-3, atol=1e-3)
