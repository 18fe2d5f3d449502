"""Dense products, beside ATen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
A, B = torch.randn(5, 3), torch.randn(3, 4)

CASES = {
    "mm": (aten.mm, A, B),
    "transposed": (lambda a, b: aten.mm(b.t(), a.t()), A, B),
    "bmm": (lambda a, b: aten.bmm(a[None], b[None]), A, B),
    "with what is added": (lambda a, b: aten.addmm(b[0], a, b, beta=2, alpha=0.5), A, B),
    "batches": (lambda a, b: aten.baddbmm(a[None, :, :1], a[None], b[None]), A, B),
    "vectors": (
        lambda a, b: (aten.mv(a, b[:, 0]), aten.dot(a[0], a[1]), aten.vdot(a[0], a[1])),
        A,
        B,
    ),
    "outer": (lambda a, b: aten.addr(a[:, :3], a[:, 0], a[0, :3]), A, B),
    "of nothing": (lambda a, b: (aten.mm(a[:0], b), aten.mm(a[:, :0], b[:0])), A, B),
    "of integers": (lambda a, b: aten.mm((a * 9).long(), (b * 9).long()), A, B),
    "of halves": (lambda a, b: aten.mm(a.bfloat16(), b.bfloat16()), A, B),
    "linear": (lambda a, b: aten.linear(a, b.t(), b[0]), A, B),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def test_a_product_into_memory():
    a, b, out = np.ones((2, 3), "f4"), np.ones((3, 4), "f4"), np.zeros((4, 2), "f4").T
    assert OPERATORS["aten.mm.default"](a, b, out=out) is out
    assert (out == 3).all()


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((np.ones((2, 3), "f4"), np.ones((2, 3), "f4")), ValueError),
        ((np.ones(3, "f4"), np.ones((3, 2), "f4")), ValueError),
        ((np.ones((2, 3), "f4"), np.ones((3, 2), "f8")), TypeError),
    ],
)
def test_what_does_not_fit_is_said(args, error):
    with pytest.raises(error, match=r"mm|type"):
        OPERATORS["aten.mm.default"](*args)


@pytest.mark.parametrize("name", ["aten.mm.default", "aten.addmm.default"])
def test_the_results_of_another_operator_are_no_matrix(name):
    """A damaged plan may name them as one."""
    matrix = np.ones((2, 2), np.float32)
    operands = [matrix] * (name == "aten.addmm.default") + [[matrix, matrix], matrix]
    with pytest.raises(TypeError, match="takes arrays, not list, ndarray"):
        OPERATORS[name](*operands)
