"""Nets of wide convolutions on small maps, two images of 96x96: what their weights cost.

Weights are random. As their originals have them: bottlenecks that end in 1,024 channels, windows in
groups of 16 channels, blocks whose results are joined. A few blocks of each.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn


def normed(given: int, made: int, size: int, **how: Any) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps an image's size, with a stride of 1, and a batch norm."""
    conv = nn.Conv2d(given, made, size, padding=size // 2, bias=False, **how)
    return conv, nn.BatchNorm2d(made)


class Bottleneck(nn.Module):
    """ResNet's block, or ResNeXt's: narrowed, windows in `groups`, widened, added to what came."""

    def __init__(self, given: int, inner: int, made: int, stride: int, groups: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *normed(given, inner, 1), nn.ReLU(),
            *normed(inner, inner, 3, stride=stride, groups=groups), nn.ReLU(),
            *normed(inner, made, 1),
        )  # fmt: skip
        self.passed = nn.Sequential(*normed(given, made, 1, stride=stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.body(x) + self.passed(x)).relu()


class Joined(nn.Module):
    """VoVNet's block: each window's result is an input of the next, and all are joined."""

    def __init__(self, given: int, inner: int, made: int, count: int = 4) -> None:
        super().__init__()
        widths = (given, *(inner for _ in range(count)))
        self.steps = nn.ModuleList(
            nn.Sequential(*normed(a, b, 3), nn.ReLU()) for a, b in pairwise(widths)
        )
        self.last = nn.Sequential(*normed(sum(widths), made, 1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [x]
        for step in self.steps:
            found.append(step(found[-1]))
        return self.last(torch.cat(found, 1))


def _net(*blocks: nn.Module, last: int) -> nn.Module:
    stem = (*normed(3, 64, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, 10))


def bottlenecks(in_groups: bool) -> nn.Module:
    """Four bottlenecks, 64 to 1,024 channels; windows meet 16 channels each where `in_groups`."""
    shape = ((64, 64, 256, 1), (256, 128, 512, 2), (512, 256, 1024, 2), (1024, 512, 1024, 2))
    blocks = [
        Bottleneck(given, inner, made, stride, inner // 16 if in_groups else 1)
        for given, inner, made, stride in shape
    ]
    return _net(*blocks, last=1024)


def joined() -> nn.Module:
    """Three blocks of joined results, 64 to 768 channels, with pooling between."""
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return _net(Joined(64, 64, 256), pool, Joined(256, 128, 512), pool, Joined(512, 192, 768),
                last=768)  # fmt: skip
