"""Programs over rows beside the NumPy interpreter; any number of threads gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from tests.kernel.interpreter.cpp.beside_numpy import both, launch, random_values, softmax

pytestmark = pytest.mark.cpp


def row_program(t="f32"):
    b = Builder("softmax_and_norm")
    i, j = b.parallel("i"), b.reduced("j")
    x, w = b.input("x", t, i, j), b.input("w", t, j)
    b.output("soft", t, (i, j), softmax(b, x))
    n = b.cast(b.extent(j), "f32")
    mean = b.sum(x) / n
    centred = x - mean
    variance = b.sum(centred * centred) / n
    b.output("norm", t, (i, j), centred * b.rsqrt(variance + 1e-5) * w)
    b.output("mean", t, (i,), mean)
    b.output("best", "i64", (i,), b.argmax(x, b.index(j)))
    return b.build()


@pytest.mark.parametrize("t", ["f32", "f16", "bf16"])
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (5, 1), (1, 5), (3, 7), (33, 64), (2, 1023), (3, 1025), (40, 5000), (1, 100_003),
     (70_000, 3), (4, 0), (0, 4)],
    ids=str,
)  # fmt: skip
def test_row_programs(shape, t):
    rng = np.random.default_rng(6)
    x = random_values(t, shape, rng, special=False)
    w = random_values(t, shape[1:], rng, special=False)
    for layout in (x, np.asfortranarray(x)):
        ours, wanted = both(row_program(t), x=layout, w=w)
        for got, want in zip(ours[:3], wanted[:3], strict=True):
            if t == "bf16":
                got, want = ((v.astype(np.uint32) << 16).view(np.float32) for v in (got, want))
            tolerance = {"f32": 2e-5, "f16": 2e-3, "bf16": 1.6e-2}[t]
            np.testing.assert_allclose(
                got.astype(np.float64), want.astype(np.float64), tolerance, tolerance
            )
        np.testing.assert_array_equal(ours[3], wanted[3])


@pytest.mark.parametrize("shape", [(1, 1 << 21), (3, 400_001), (2000, 700), (1 << 20, 2)], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_number_of_threads_gives_the_same_bits(shape, order):
    x = np.asarray(random_values("f32", shape, np.random.default_rng(7), False), order=order)
    w = random_values("f32", shape[1:], np.random.default_rng(8), False)
    executable = load(row_program(), "cpp")
    first = None
    for threads in (1, 2, 3, 5):
        outputs, flag = launch(executable, {"x": x, "w": w}, shape, threads)
        assert flag == 0
        bits = [o.tobytes() for o in outputs]
        first = first or bits
        assert bits == first


def test_sum_of_ten_million_is_within_a_few_units():
    b = Builder("sum")
    i = b.reduced("i")
    b.output("y", "f32", (), b.sum(b.input("x", "f32", i)))
    x = np.random.default_rng(9).random(10_000_000, np.float32)
    (got,) = load(b.build(), "cpp")(x=x)
    true = x.sum(dtype=np.float64)
    assert abs(float(got) - true) <= 3 * np.spacing(np.float32(true))
