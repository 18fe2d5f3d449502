"""Arrays joined and padded, beside ATen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
X, IMAGE = torch.randn(3, 4), torch.randn(1, 2, 4, 5)

CASES = {
    "cat": (lambda x: aten.cat([x, x[:0], x * 2]), X),
    "cat of types": (lambda x: aten.cat([x, x.to(torch.int32), x.double()], 1), X),
    "cat with empty vectors": (lambda x: aten.cat([torch.empty(0), x], 1), X),
    "cat, channels last": (
        lambda x: aten.cat([x, x], 1),
        IMAGE.to(memory_format=torch.channels_last),
    ),
    "stack": (lambda x: aten.stack([x, x + 1], -1), X),
    "constant": (lambda x: aten.constant_pad_nd(x, [1, -1, 0, 2], 3.5), X),
    "of integers": (lambda x: aten.constant_pad_nd(x.to(torch.uint8), [1, 1], 7), X.abs()),
    "reflection": (lambda x: aten.reflection_pad2d(x, [1, 2, 0, 1]), IMAGE),
    "replication": (lambda x: aten.replication_pad2d(x, [1, 2, -1, 1]), IMAGE),
    "circular": (lambda x: aten._pad_circular(x, [1, 2, 0, 1]), IMAGE),
    "a slice": (lambda x: aten.slice_scatter(x, x[:, :2], 1, 0, 4, 2), X),
    "a row": (lambda x: aten.select_scatter(x, x[0] * 2, 0, -1), X),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("cat", ([],), "cat needs an array"),
        ("cat", ([np.ones((2, 3)), np.ones((3, 2))],), "cat joins shapes that agree outside"),
        ("stack", ([],), "stack needs an array"),
        ("constant_pad_nd", (np.ones(3), [1]), "Padding is two numbers for each"),
        ("constant_pad_nd", (np.ones(3), [-2, -2]), "cuts more off"),
        ("reflection_pad1d", (np.ones((1, 3)), [3, 0]), "A reflection is shorter"),
    ],
)
def test_what_does_not_fit_is_said(name, args, reason):
    with pytest.raises(ValueError, match=reason):
        OPERATORS[f"aten.{name}.default"](*args)


def test_a_position_outside():
    with pytest.raises(IndexError, match="Position 3 is outside a dimension of 3"):
        OPERATORS["aten.select_scatter.default"](np.ones((3, 2)), np.ones(2), 0, 3)
