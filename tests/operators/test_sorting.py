"""Sorting and searching, beside ATen."""

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
    "sort": (lambda x: (aten.sort(x, 0), aten.sort(x, -1, True)), X),
    "stable": (lambda x: aten.sort(x.round(), stable=True, dim=1, descending=True), X),
    "topk": (lambda x: (aten.topk(x, 2), aten.topk(x, 3, 0, False)), X),
    "a few of many": (lambda x: aten.topk(x, 2), torch.randn(3, 40)),
    "kthvalue": (lambda x: (aten.kthvalue(x, 2), aten.kthvalue(x, 1, 0, True)), X),
    "median": (lambda x: (aten.median(x), aten.median(x, 1)), X),
    "median of NaN": (lambda x: (aten.median(x), aten.median(x, 1)), NAN),
    "mode": (lambda x: aten.mode(x.round(), 1), X),
    "searchsorted": (lambda x: aten.searchsorted(x[0].sort()[0], x, right=True), X),
    "bucketize": (lambda x: aten.bucketize(x, x[0].sort()[0]), X),
    "unique": (lambda x: aten._unique2(x.round(), True, True, True), X),
    "runs": (lambda x: aten.unique_consecutive(x.round().sort()[0], True, True), X),
    "of a number": (lambda x: (aten.sort(x), aten.topk(x, 1)), torch.tensor(2.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def test_equal_elements_keep_their_order():
    x = np.array([1.0, 0.0, 1.0, 0.0])
    for descending, order in ((False, [1, 3, 0, 2]), (True, [0, 2, 1, 3])):
        assert OPERATORS["aten.sort.default"](x, 0, descending)[1].tolist() == order


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("topk", (np.ones(3), 4), "There are no 4 elements"),
        ("kthvalue", (np.ones(3), 0), "There is no element number 0"),
    ],
)
def test_what_is_not_there_is_said(name, args, reason):
    with pytest.raises(RuntimeError, match=reason):
        OPERATORS[f"aten.{name}.default"](*args)
