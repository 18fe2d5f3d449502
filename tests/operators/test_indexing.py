"""Reading and writing where positions say, beside ATen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
X = torch.randn(5, 4)
I = torch.tensor([0, 3, 3, 1])  # noqa: E741
P = torch.randint(0, 4, (5, 4), generator=torch.Generator().manual_seed(0))

CASES = {
    "rows": (lambda x, i: aten.index_select(x, 0, i), X, I),
    "of a number": (lambda x: aten.index_select(x, 0, torch.tensor([0])), torch.tensor(3.0)),
    "embedding": (lambda x, i: aten.embedding(x, i.reshape(2, 2)), X, I),
    "take": (aten.take, X, torch.tensor([[0, -1], [19, 3]])),
    "gather": (lambda x, p: aten.gather(x, 1, p), X, P),
    "two positions": (lambda x, i: aten.index(x, [i, i]), X, I),
    "apart": (lambda x, i: aten.index(x[None], [torch.tensor([0]), None, i]), X, I),
    "mask": (lambda x: aten.index(x, [x > 0]), X),
    "put": (lambda x, i: aten.index_put(x, [i], x[:4] * 2), X, torch.tensor([3, 0, 1, -1])),
    "accumulated": (
        lambda x, i: aten.index_put(x, [i], x[:4], True),
        X,
        torch.tensor([1, 1, 0, 1]),
    ),
    "masked": (lambda x: (aten.masked_select(x, x > 0), aten.masked_scatter(x, x > 0, x)), X),
    "nonzero": (lambda x: aten.nonzero((x > 0) * x), X),
    "scatter": (lambda x, p: aten.scatter(x, 1, p, x * 2), X, P),
    "scatter a number": (lambda x, p: aten.scatter(x, 1, p, 5.0), X, P),
    "scatter_add": (lambda x, p: aten.scatter_add(x, 1, p, x), X, P),
    **{
        f"scatter_reduce {how} {own}": (
            lambda x, p, how=how, own=own: aten.scatter_reduce(x, 1, p, x, how, include_self=own),
            X,
            P,
        )
        for how in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
    },
    "index_add": (lambda x, i: aten.index_add(x, 0, i, x[:4], alpha=2), X, I),
    "index_copy": (lambda x, i: aten.index_copy(x, 1, i[:2], x[:, :2]), X, torch.tensor([3, 1])),
    "index_fill": (lambda x, i: aten.index_fill(x, 0, i, 7), X, I),
    "nll": (
        lambda x, t: aten.nll_loss_forward(x, t, None, 1, -100),
        torch.randn(4, 5),
        torch.tensor([0, 4, -100, 2]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def test_positions_outside_are_an_index_error():
    for name, args in (
        ("embedding", (np.zeros((3, 2), "f4"), np.array([3]))),
        ("index_select", (np.zeros((3, 2), "f4"), 0, np.array([-1]))),
        ("index.Tensor", (np.zeros((3, 2), "f4"), [np.array([-4])])),
        ("take", (np.zeros(3, "f4"), np.array([3]))),
    ):
        full = name if "." in name else f"{name}.default"
        with pytest.raises(IndexError):
            OPERATORS[f"aten.{full}"](*args)
