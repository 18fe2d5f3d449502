"""Images made larger and smaller, and read at places, beside ATen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
IMAGE = torch.randn(2, 3, 5, 6)
GRID = torch.rand(2, 4, 4, 2, generator=torch.Generator().manual_seed(0)) * 2.6 - 1.3

CASES = {
    **{
        f"{name} {size} {corners}": (
            lambda x, f=f, size=size, corners=corners: f(x, size, corners),
            IMAGE,
        )
        for name, f in (("linear", aten.upsample_bilinear2d), ("cubic", aten.upsample_bicubic2d))
        for size in ([9, 4], [3, 12], [1, 1])
        for corners in (True, False)
    },
    "nearest": (lambda x: aten.upsample_nearest2d(x, [9, 4]), IMAGE),
    "by factors": (
        lambda x: (
            aten.upsample_nearest2d(x, None, [1.7, 0.6]),
            aten.upsample_bilinear2d(x, None, False, [1.7, 0.6]),
        ),
        IMAGE,
    ),
    **{
        f"grid {mode} {padding} {corners}": (
            lambda x, g, mode=mode, padding=padding, corners=corners: aten.grid_sampler_2d(
                x, g, mode, padding, corners
            ),
            IMAGE,
            GRID,
        )
        for mode in (0, 1, 2)
        for padding in (0, 1, 2)
        for corners in (True, False)
    },
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def test_channels_last_stays_so():
    x = np.ones((1, 2, 4, 4), "f4").transpose(0, 3, 1, 2)
    made = OPERATORS["aten.upsample_nearest2d.default"](x, [8, 8])
    assert made.shape == (1, 4, 8, 8) or made.shape[2:] == (8, 8)
