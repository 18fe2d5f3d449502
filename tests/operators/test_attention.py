"""Attention in blocks equals ATen's, masks and shared heads included."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.backend.registry import backend
from gint.operators import OPERATORS
from gint.operators.launches import use_backend

pytestmark = pytest.mark.torch
attend = OPERATORS["aten.scaled_dot_product_attention.default"]


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 7), (5, 3), (600, 601)])
@pytest.mark.parametrize("masked", ["no", "causal", "bool", "float"])
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_equals_atens(rows, length, masked, groups):
    torch.manual_seed(0)
    q = torch.randn(2, rows, 4, 8).transpose(1, 2)
    k, v = (torch.randn(2, length, groups, 8).transpose(1, 2) for _ in range(2))
    mask = None
    if masked == "bool":
        mask = torch.rand(rows, length) < 0.7
        mask[:, 0] = True
    elif masked == "float":
        mask = torch.randn(2, 1, rows, length)
    causal, shared = masked == "causal", groups < 4
    wanted = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, mask, is_causal=causal, enable_gqa=shared
    )
    arrays = [None if t is None else t.numpy() for t in (q, k, v, mask)]
    found = attend(*arrays, is_causal=causal, enable_gqa=shared)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.cpp
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_heads_that_share_leave_nothing_to_numpys_blas(groups, monkeypatch):
    """Its threads spin on the cores that the next launch needs: a model's call took ten times as
    long."""

    def refuse(*_, **__):
        raise AssertionError("NumPy's BLAS was asked.")

    q = np.ones((1, 16, 4, 8), np.float32).swapaxes(1, 2)
    k = np.ones((1, 16, groups, 8), np.float32).swapaxes(1, 2)
    with use_backend(backend("cpp")):
        monkeypatch.setattr(np, "matmul", refuse)
        found = attend(q, k, k, enable_gqa=groups < 4)
    np.testing.assert_allclose(found, np.ones((1, 4, 16, 8)), rtol=1e-6)


def test_what_does_not_fit_is_said():
    x = np.ones((1, 2, 3, 4), np.float32)
    with pytest.raises(ValueError, match=r"dropout_p is 0\.5"):
        attend(x, x, x, None, 0.5)
    with pytest.raises(ValueError, match="operands that fit"):
        attend(x, x[..., :3], x)
