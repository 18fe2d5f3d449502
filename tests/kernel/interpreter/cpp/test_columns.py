"""Reductions down the columns of long lines: lines are shared by the threads, the bits are not."""

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from tests.kernel.interpreter.cpp.beside_numpy import launch

pytestmark = pytest.mark.cpp

# Around what is taken together (16 lines), shared (64, 128) and a tile's width (4096).
SHAPES = [
    (1, 1, 300), (15, 1, 257), (17, 1, 4096), (127, 1, 300), (128, 1, 4097), (129, 1, 1023),
    (1000, 1, 513), (4099, 1, 260), (3, 7, 300), (7, 100, 700), (2, 300, 9000), (0, 5, 300),
    # Short rows, of which several are taken for one.
    (999, 1, 1), (255, 1, 8), (257, 1, 3), (128, 1, 32), (131, 3, 7), (2100, 1, 16), (67, 1, 31),
]  # fmt: skip


def program(fold):
    """Over the first and the last but one dimension, which do not merge where x has a stride."""
    b = Builder("columns")
    i, k, j = b.reduced("i"), b.reduced("k"), b.parallel("j")
    x = b.input("x", "f32", i, k, j)
    fold(b, x)(b, (j,))
    return b.build()


def plain(b, x):
    total, largest = b.sum(x), b.amax(x)
    return lambda b, axes: [b.output(n, "f32", axes, v) for n, v in (("y", total), ("z", largest))]


def of_products(b, x):
    total = b.sum(x * x) / b.cast(b.extent(0), "f32")
    return lambda b, axes: b.output("y", "f32", axes, total)


def centred(b, x):
    """Twice over the lines."""
    rest = x - b.sum(x)
    return lambda b, axes: b.output("y", "f32", axes, b.sum(rest * rest))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fold", [plain, of_products, centred])
@pytest.mark.parametrize("gap", [0, 5])
def test_bits_do_not_depend_on_threads(shape, fold, gap):
    rows, lines, columns = shape
    memory = np.random.default_rng(1).standard_normal((rows, lines + gap, columns), np.float32)
    x = memory[:, :lines]
    outputs = {n: launch(load(program(fold), "cpp"), {"x": x}, shape, n)[0] for n in (1, 2, 3)}
    assert len({b"".join(o.tobytes() for o in found) for found in outputs.values()}) == 1
    wanted, _ = launch(load(program(fold), "python"), {"x": x}, shape)
    for got, want in zip(outputs[1], wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("shape", [(16, 64, 4, 256), (16, 5, 3, 300), (20, 7, 1, 257)], ids=str)
def test_windows_beside_one_another(shape):
    """Sums of parts of images, as adaptive pooling has them: the bits of each window alone."""
    b = Builder("windows")
    n, i, k, j = b.parallel("n"), b.reduced("i"), b.parallel("k"), b.reduced("j")
    b.output("y", "f32", (n, k), b.sum(b.input("x", "f32", n, i, k, j)))
    kernel = load(b.build(), "cpp")
    x = np.random.default_rng(2).standard_normal(shape, np.float32)
    wanted = np.concatenate([kernel(x=x[:, :, k : k + 1])[0] for k in range(shape[2])], axis=1)
    for threads in (1, 2):
        (found,), _ = launch(kernel, {"x": x}, shape, threads)
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(wanted, x.astype(np.float64).sum((1, 3)), rtol=1e-4, atol=1e-4)
