"""Transforms, factors and inverses, beside ATen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
X = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))

CASES = {
    "fft": (lambda x: aten._fft_c2c(torch.complex(x, x), [0, 1], 0, True), X),
    "backward": (lambda x: aten._fft_c2c(torch.complex(x, x), [1], 2, False), X),
    "of reals": (lambda x: (aten._fft_r2c(x, [1], 1, True), aten._fft_r2c(x, [0, 1], 0, True)), X),
    "to reals": (lambda x: aten._fft_c2r(aten._fft_r2c(x, [1], 0, True), [1], 2, 4), X),
    "cholesky": (lambda x: aten.linalg_cholesky_ex(x @ x.T + 4 * torch.eye(4)), X),
    "inverse": (lambda x: aten.linalg_inv_ex(x @ x.T + 4 * torch.eye(4)), X),
    "triangular": (
        lambda x: aten.linalg_solve_triangular(x.triu() + 4 * torch.eye(4), x, upper=True),
        X,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def test_factors_multiply_to_the_matrix():
    x = np.random.default_rng(0).standard_normal((4, 4))
    u, s, v = OPERATORS["aten._linalg_svd.default"](x)
    np.testing.assert_allclose(u * s @ v, x, atol=1e-12)
    q, r = OPERATORS["aten.linalg_qr.default"](x)
    np.testing.assert_allclose(q @ r, x, atol=1e-12)
    values, vectors = OPERATORS["aten._linalg_eigh.default"](x + x.T)
    np.testing.assert_allclose(vectors * values @ vectors.T, x + x.T, atol=1e-12)
