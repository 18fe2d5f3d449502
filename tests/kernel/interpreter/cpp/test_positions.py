"""Comparisons of positions are found, not computed: triangles, bands and what only looks alike."""

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder

pytestmark = pytest.mark.cpp

CONDITIONS = {
    "below": lambda b, i, j, n: b.lt(j, i),
    "up to": lambda b, i, j, n: b.le(j - i, 3),
    "above": lambda b, i, j, n: b.gt(j, i + 2),
    "from": lambda b, i, j, n: b.ge(j * 3, i * 2 - 5),
    "backwards": lambda b, i, j, n: b.lt(n - j, i),
    "of one axis": lambda b, i, j, n: b.ge(j, 7),
    "of the other": lambda b, i, j, n: b.lt(i * 2, 31),
    "wrapping": lambda b, i, j, n: b.lt(j * (1 << 61), i),
    "curved": lambda b, i, j, n: b.lt(j * j, i * 5),
}
SHAPES = [(1, 1), (1, 300), (300, 1), (5, 16), (40, 48), (33, 257), (70, 5000), (3000, 3)]


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_conditions_on_positions(name, order):
    b = Builder("condition")
    i, j = b.parallel("i"), b.parallel("j")
    holds = CONDITIONS[name](b, b.index(i), b.index(j), b.extent(j))
    b.output("mask", "bool", (i, j), holds)
    b.output("y", "f32", (i, j), b.where(holds, b.input("x", "f32", i, j), 0.0))
    made = b.build()
    ours, wanted = load(made, "cpp"), load(made, "python")
    for shape in SHAPES:
        x = np.asarray(np.random.default_rng(0).standard_normal(shape).astype("f4"), order=order)
        for got, want in zip(ours(x=x), wanted(x=x), strict=True):
            np.testing.assert_array_equal(got, want, f"{shape}")


def test_conditions_along_what_is_folded():
    b = Builder("folded")
    i, j = b.parallel("i"), b.reduced("j")
    x = b.input("x", "i64", i, j)
    b.output("y", "i64", (i,), b.sum(b.where(b.le(b.index(j), b.index(i)), x, 0)))
    made = b.build()
    for shape in SHAPES:
        x = np.arange(shape[0] * shape[1]).reshape(shape)
        (got,), (want,) = load(made, "cpp")(x=x), load(made, "python")(x=x)
        np.testing.assert_array_equal(got, want)
