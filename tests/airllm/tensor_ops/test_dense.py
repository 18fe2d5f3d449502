"""Dense products through torch, with the CPU in the device's place."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from airllm.tensor_ops import dense
from gint.backend import registry

pytestmark = pytest.mark.torch


def test_products_are_float32_whichever_way_torch_was_told_otherwise(monkeypatch):
    """`allow_tf32` raises where somebody has set `fp32_precision`."""
    settings, cpu = torch.backends.cuda.matmul, torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "device", lambda *_: cpu)
    multiply = dense._by_torch(0)
    before = settings.fp32_precision
    try:
        settings.fp32_precision = "tf32"
        assert multiply(np.eye(2, dtype=np.float32), np.ones((2, 3), np.float32)).sum() == 6
        assert settings.fp32_precision == "tf32"
    finally:
        settings.fp32_precision = before


def test_on_the_host_the_product_is_numpys():
    assert dense.multiplier(registry.backend("python")) is None


@pytest.mark.gpu
def test_on_a_gpu_products_are_float32():
    a = np.random.default_rng(1).normal(size=(200, 300)).astype(np.float32)
    b = np.random.default_rng(2).normal(size=(300, 100)).astype(np.float32)
    exact = a.astype(np.float64) @ b
    multiply = dense.multiplier(registry.backend("cuda")) or np.matmul
    assert np.abs(multiply(a, b) - exact).max() < 1e-4
