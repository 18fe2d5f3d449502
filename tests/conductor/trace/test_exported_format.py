"""Exported convolutions run in channels-last memory, and nobody outside sees that."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import gint
from gint.conductor import export

pytestmark = pytest.mark.torch


class Net(nn.Module):
    """Convolutions of all sorts, what comes between, and a result of four dimensions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.each = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.last = nn.Conv2d(8, 12, 2, stride=2)

    def forward(self, x):
        h = self.each(torch.relu(self.norm(self.first(x))))
        y = self.last(h) + nn.functional.adaptive_avg_pool2d(h.sum(1, keepdim=True), 1)
        return y, y.flatten(1), nn.functional.max_pool2d(h, 2).view(x.shape[0], -1), None, 3


@torch.no_grad()
def test_results_and_strides_are_the_programs(tmp_path):
    net, path = Net().eval(), tmp_path / "net.gint"
    export(net, (torch.randn(2, 3, 8, 8),), path=path,
           dynamic_shapes=({0: torch.export.Dim("n")},))  # fmt: skip
    loaded = gint.load(path)
    weights = {c.name: c.type.strides for c in loaded.plan.constants}
    assert weights["first.weight"] == (27, 1, 9, 3)
    for n in (2, 1, 5):
        x = torch.randn(n, 3, 8, 8)
        wanted = net(x)
        for found in (loaded(x), loaded(x.to(memory_format=torch.channels_last))):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
            assert [t.stride() for t in found[:3]] == [t.stride() for t in wanted[:3]]
        for found, t in zip(loaded(x.numpy())[:3], wanted[:3], strict=True):
            np.testing.assert_allclose(found, t.numpy(), rtol=1e-4, atol=1e-5)


class Noisy(Net):
    def forward(self, x):
        return self.last(nn.functional.dropout(self.first(x), 0.5, training=True))


@torch.no_grad()
def test_what_fills_memory_in_order_keeps_its_order(tmp_path):
    net, path = Noisy().eval(), tmp_path / "net.gint"
    x = torch.randn(2, 3, 8, 8)
    export(net, (x,), path=path)
    loaded = gint.load(path)
    torch.manual_seed(1)
    wanted = net(x)
    torch.manual_seed(1)
    torch.testing.assert_close(loaded(x), wanted)
