"""Other looks at memory, beside ATen: nothing is copied."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
X = torch.randn(2, 3, 4)

CASES = {
    "view": (lambda x: aten.view(x, [2, -1]), X),
    "permute": (lambda x: aten.permute(x, [2, 0, -2]), X),
    "transpose": (lambda x: aten.transpose(x, 0, -1), X),
    "expand": (lambda x: aten.expand(x[:, :1], [5, -1, 3, 4]), X),
    "slice": (lambda x: aten.slice(x, 1, -2, 9, 2), X),
    "select": (lambda x: aten.select(x, -1, -1), X),
    "unsqueeze": (lambda x: aten.unsqueeze(x, -1), X),
    "squeeze": (lambda x: (aten.squeeze(x[:1, :1]), aten.squeeze(x[:1], 0), aten.squeeze(x, 1)), X),
    "diagonal": (lambda x: aten.diagonal(x, 1, 1, 2), X),
    "as_strided": (lambda x: aten.as_strided(x, [2, 2], [3, 5], 1), X),
    "unfold": (lambda x: aten.unfold(x, 2, 2, 1), X),
    "split": (lambda x: (aten.split(x, 2, 2), aten.split_with_sizes(x, [1, 3], 2)), X),
    "unbind": (lambda x: aten.unbind(x, 1), X),
    "real": (lambda x: aten.view_as_real(torch.complex(x, x)), X),
    "another type": (lambda x: aten.view(x, torch.int32), X),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


@pytest.mark.parametrize(
    ("name", "args"),
    [("permute", ([1, 0],)), ("slice.Tensor", (0, 1)), ("unsqueeze", (0,)), ("t", ()),
     ("diagonal", ()), ("as_strided", ([2], [3], 1)), ("unfold", (0, 2, 1)), ("view", ([6],))],
)  # fmt: skip
def test_nothing_is_copied(name, args):
    x = np.arange(6.0).reshape(2, 3)
    full = name if "." in name else f"{name}.default"
    assert np.shares_memory(OPERATORS[f"aten.{full}"](x, *args), x)


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("view", (np.ones((4, 6)).T, [24]), "is no view of"),
        ("as_strided", (np.ones(4), [3], [2], 0), "leaves 4 elements"),
        ("as_strided", (np.ones((4, 4))[:, :2], [2], [1], 0), "has gaps"),
        ("unfold", (np.ones(3), 0, 4, 1), "does not fit into 3"),
        ("split_with_sizes", (np.ones(3), [1, 1]), "are not a dimension of 3"),
    ],
)
def test_what_does_not_fit_is_said(name, args, reason):
    with pytest.raises(ValueError, match=reason):
        OPERATORS[f"aten.{name}.default"](*args)
