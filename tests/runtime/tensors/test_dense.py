"""Products of saved functions on tensors by gint's own loops: which, and what they give."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.host import selection
from gint.runtime.tensors import blas, dense
from gint.runtime.tensors.entry_points import writing_into

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif("cpp" not in selection.usable(), reason="no native module"),
]


@pytest.fixture
def called(monkeypatch):
    """Products on a processor whose BLAS is slow; what ATen computes all the same, by name."""
    monkeypatch.setattr(blas, "is_slow", lambda: True)
    names = []

    def products(name):
        atens = writing_into(name)

        def counted(*args, **kwargs):
            names.append(name)
            return atens(*args, **kwargs)

        return dense.writing_into(name, counted)

    return products, names


def test_products_are_atens(called):
    products, left = called
    x, w, bias = torch.randn(70, 96), torch.randn(96, 130), torch.randn(130)
    out = torch.empty(70, 130)
    for weight in (w, w.t().contiguous().t()):
        products("aten.mm.default")(x, weight, out=out)
        torch.testing.assert_close(out, x @ w, rtol=1e-5, atol=1e-4)
        products("aten.addmm.default")(bias, x, weight, out=out)
        torch.testing.assert_close(out, x @ w + bias, rtol=1e-5, atol=1e-4)
    batch = torch.empty(3, 70, 130)
    products("aten.bmm.default")(x.expand(3, -1, -1), w.expand(3, -1, -1), out=batch)
    torch.testing.assert_close(batch[2], x @ w, rtol=1e-5, atol=1e-4)
    assert not left


def test_what_has_no_loops_is_atens(called):
    products, left = called
    x, w, bias = torch.randn(70, 96), torch.randn(96, 130), torch.randn(70, 130)
    out = torch.empty(70, 130)
    products("aten.addmm.default")(bias, x, w, beta=2, out=out)
    torch.testing.assert_close(out, x @ w + 2 * bias, rtol=1e-5, atol=1e-4)
    products("aten.mm.default")(x[:1], w, out=out[:1])
    with torch.no_grad():
        products("aten.mm.default")(x.clone().requires_grad_(), w, out=out)
    negative = torch.complex(x, x).conj().imag
    products("aten.mm.default")(negative, w, out=out)
    torch.testing.assert_close(out, -(x @ w), rtol=1e-5, atol=1e-4)
    products("aten.mm.default")(x.double(), w.double(), out=out.double())
    assert len(left) == 5
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        products("aten.mm.default")(x, w[1:], out=out)


def test_a_fast_blas_is_left_alone(monkeypatch):
    atens = writing_into("aten.mm.default")
    monkeypatch.setattr(blas, "is_slow", lambda: False)
    assert dense.writing_into("aten.mm.default", atens) is atens
    monkeypatch.setattr(blas, "is_slow", lambda: True)
    assert dense.writing_into("aten.cumsum.default", atens) is atens
