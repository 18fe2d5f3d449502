"""Pooling, beside ATen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
IMAGE = torch.randn(2, 3, 7, 6)

CASES = {
    **{
        f"max {k} {s} {p} {d}": (
            lambda x, k=k, s=s, p=p, d=d: aten.max_pool2d_with_indices(x, k, s, p, d),
            IMAGE,
        )
        for k, s, p, d in (([2, 2], [2, 2], [0, 0], [1, 1]), ([3, 2], [1, 2], [1, 0], [2, 1]))
    },
    "max, ceiling": (
        lambda x: aten.max_pool2d_with_indices(x, [3, 3], [2, 2], [1, 1], [1, 1], True),
        IMAGE,
    ),
    "max of NaN": (lambda x: aten.max_pool2d_with_indices(x * float("nan"), [2, 2]), IMAGE),
    "max 3d": (lambda x: aten.max_pool3d_with_indices(x[None], [1, 2, 2]), IMAGE),
    "average": (lambda x: aten.avg_pool2d(x, [3, 3], [2, 1], [1, 1]), IMAGE),
    "average of what is there": (
        lambda x: aten.avg_pool2d(x, [3, 3], [2, 2], [1, 1], True, False),
        IMAGE,
    ),
    "average by a number": (lambda x: aten.avg_pool2d(x, [2], [], [0], False, True, 3), IMAGE),
    "average 3d": (lambda x: aten.avg_pool3d(x[None], [2, 2, 2]), IMAGE),
    "adaptive": (lambda x: aten._adaptive_avg_pool2d(x, [3, 4]), IMAGE),
    "unbatched": (lambda x: aten.max_pool2d_with_indices(x[0], [2, 2]), IMAGE),
    "halves": (lambda x: aten.avg_pool2d(x.bfloat16(), [2, 2]), IMAGE),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def test_a_window_that_does_not_fit():
    with pytest.raises(ValueError, match="does not fit into"):
        OPERATORS["aten.avg_pool2d.default"](np.ones((1, 1, 3, 3), "f4"), [4, 4])
