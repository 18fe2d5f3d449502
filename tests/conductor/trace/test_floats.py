"""Floats of modules are constants with guards; floats that are arguments stay free."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import gint.conductor

pytestmark = pytest.mark.torch


class Scaled(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor, self.inner = 0.25, torch.nn.LayerNorm(4)

    def forward(self, x, extra):
        return self.inner(x * self.factor) + extra


@torch.no_grad()
def test_a_changed_number_is_compiled_anew_and_an_argument_is_not(fresh_dynamo):
    module = Scaled()
    compiled = torch.compile(module, backend="gint", dynamic=True, options={"check": True})
    for rows, extra in [(3, 0.5), (5, 0.5), (2, -1.5), (7, 3.0)]:
        x = torch.randn(rows, 4)
        torch.testing.assert_close(compiled(x, extra), module(x, extra))
    (record,) = gint.conductor.statistics()
    assert record.externs == {"aten._local_scalar_dense": 1}  # of the argument
    module.factor, module.inner.eps = 4.0, 0.5
    torch.testing.assert_close(compiled(x, 3.0), module(x, 3.0))
    assert len(gint.conductor.statistics()) == 2


@torch.no_grad()
def test_no_tensor_is_made_of_a_constant(fresh_dynamo, monkeypatch):
    module, made = Scaled(), []
    compiled = torch.compile(module, backend="gint", dynamic=True)
    compiled(torch.randn(3, 4), 0.5)
    as_tensor = torch._as_tensor_fullprec
    monkeypatch.setattr(torch, "_as_tensor_fullprec", lambda x: made.append(x) or as_tensor(x))
    x = torch.randn(5, 4)
    torch.testing.assert_close(compiled(x, -1.5), module(x, -1.5))
    assert made == [-1.5]  # of the argument


def test_gradients_are_eagers(fresh_dynamo):
    module = Scaled()
    compiled = torch.compile(module, backend="gint", dynamic=True, options={"check": True})
    for rows in (3, 6):
        x = torch.randn(rows, 4, requires_grad=True)
        (expected,) = torch.autograd.grad(module(x, 0.5).square().sum(), x)
        (found,) = torch.autograd.grad(compiled(x, 0.5).square().sum(), x)
        torch.testing.assert_close(found, expected)
