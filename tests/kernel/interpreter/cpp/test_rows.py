"""Long rows that are folded where they lie, many at a time: packed or not, in any order of axes."""

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from tests.kernel.interpreter.cpp.beside_numpy import launch

pytestmark = pytest.mark.cpp

# Around the rows and columns of a tile, and where there are too few rows for one.
TYPES = {"f32": "f4", "f64": "f8", "i64": "i8", "i8": "i1"}
SHAPES = [(1, 33, 256), (2, 100, 700), (3, 47, 1001), (40, 9, 300), (1, 4, 4096), (1, 70, 5000)]


def program(t):
    b = Builder("rows")
    i, k, j = b.parallel("i"), b.parallel("k"), b.reduced("j")
    x = b.input("x", t, i, k, j)
    b.output("sum", t, (i, k), b.sum(x) * 3)
    b.output("largest", t, (k, i), b.amax(x))
    b.output("where", "i64", (i, k), b.argmin(x, b.index(j)))
    return b.build()


def views(shape, t):
    rows, lines, columns = shape
    rng = np.random.default_rng(sum(shape))
    memory = rng.integers(-9, 10, (rows, lines + 2, columns + 3)).astype(t)
    yield np.ascontiguousarray(memory[:, :lines, :columns])
    yield memory[:, :lines, :columns]
    yield memory[::-1, lines - 1 :: -1, :columns]
    yield memory[:, :lines, columns - 1 :: -1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("t", "dtype"), [("f32", "f4"), ("f64", "f8"), ("i64", "i8"), ("i8", "i1")]
)
def test_rows_together(shape, t, dtype):
    made = program(t)
    for x in views(shape, TYPES[t]):
        found = {n: launch(load(made, "cpp"), {"x": x}, shape, n)[0] for n in (1, 2, 3)}
        wanted, _ = launch(load(made, "python"), {"x": x}, shape)
        for outputs in found.values():
            for got, want in zip(outputs, wanted, strict=True):
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 300])
@pytest.mark.parametrize("t", TYPES)
def test_lines_written_backwards(columns, t):
    b = Builder("reversed")
    i, j = b.parallel("i"), b.parallel("j")
    b.output("y", t, (i, j), b.input("x", t, i, j))
    x = np.arange(3 * columns).reshape(3, columns).astype(TYPES[t])
    y = np.zeros_like(x)
    load(b.build(), "cpp")(x=x, y=y[:, ::-1])
    np.testing.assert_array_equal(y, x[:, ::-1])
