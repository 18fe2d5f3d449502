"""What a run is given of a plan's calls."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import gint.conductor  # noqa: F401

pytestmark = pytest.mark.torch


def spread(x):
    return x[:, :, None].expand(2, 2, 3, 7, 8).reshape(2, 6, 7, 8)


@pytest.mark.parametrize("is_used", [True, False])
def test_attention_whose_result_is_the_graphs_own(is_used):
    """What is launched before it makes a run of the call; its first result alone is made."""

    def attend(q, k, v):
        k = spread(k)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, spread(v))
        return found, k if is_used else q

    q, k, v = torch.randn(2, 6, 7, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)
    with torch.no_grad():
        found = torch.compile(attend, backend="gint", options={"check": True})(q, k, v)
        for a, b in zip(found, attend(q, k, v), strict=True):
            torch.testing.assert_close(a, b)
