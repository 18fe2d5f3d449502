"""Running folds, beside ATen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
X = torch.randn(4, 7)
NAN = X.clone()
NAN[1, 3] = float("nan")

CASES = {
    **{
        f"{name} {dim}": (lambda x, f=f, dim=dim: f(x, dim), X)
        for name, f in (
            ("cumsum", aten.cumsum),
            ("cumprod", aten.cumprod),
            ("logcumsumexp", aten.logcumsumexp),
            ("cummax", aten.cummax),
            ("cummin", aten.cummin),
        )
        for dim in (0, -1)
    },
    "of integers": (lambda x: aten.cumsum((x * 9).to(torch.int8), 1), X),
    "in another type": (lambda x: aten.cumsum(x, 1, dtype=torch.float64), X),
    "of a number": (lambda x: (aten.cumsum(x, 0), aten.cummax(x, 0)), torch.tensor(3.0)),
    "of nothing": (lambda x: (aten.cumsum(x, 0), aten.cummin(x, 0)), X[:0]),
    "of halves": (lambda x: (aten.cumsum(x.half(), 1), aten.cumprod(x.half(), 1)), X),
    "with NaN": (lambda x: (aten.cummax(x, 1), aten.cummin(x, 1)), NAN),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def test_a_dimension_that_is_not_there():
    with pytest.raises(IndexError, match="Dimension 2 does not exist: there are 2"):
        OPERATORS["aten.cumsum.default"](np.ones((2, 2)), 2)
