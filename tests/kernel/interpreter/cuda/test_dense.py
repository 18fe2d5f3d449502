"""Dense products through torch, with the CPU in the device's place."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.kernel.interpreter.cuda import dense

pytestmark = pytest.mark.torch


def test_products_are_float32_whichever_way_torch_was_told_otherwise(monkeypatch):
    """`allow_tf32` raises where somebody has set `fp32_precision`."""
    settings, cpu = torch.backends.cuda.matmul, torch.device("cpu")
    monkeypatch.setattr(dense, "default_ordinal", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "device", lambda *_: cpu)
    multiply = dense._by_torch()
    before = settings.fp32_precision
    try:
        settings.fp32_precision = "tf32"
        assert multiply(np.eye(2, dtype=np.float32), np.ones((2, 3), np.float32)).sum() == 6
        assert settings.fp32_precision == "tf32"
    finally:
        settings.fp32_precision = before
