"""Folds that need no step before them: of halves where they lie, and at the end of chains, of rows
that share a tile and of lines. The same bits for any number of threads, and instruction set."""

from __future__ import annotations

import hashlib

import ml_dtypes
import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from tests import fences
from tests.kernel.interpreter.cpp.beside_numpy import launch
from tests.kernel.interpreter.cpp.instruction_sets import run_on_each

pytestmark = pytest.mark.cpp

TYPES = {"f16": np.dtype("f2"), "bf16": np.dtype(ml_dtypes.bfloat16), "f32": np.dtype("f4")}
# Short rows and long ones; as many as share a tile (16 and more), and a rest of them.
SHAPES = [(1, 1), (3, 40), (37, 256), (50, 1000), (17, 4097), (600, 129), (2, 9001)]
# Many in a tile, whose last register is full, or not.
SHORT_ROWS = [(700, 5), (301, 13), (256, 16), (131, 31), (130, 64), (90, 67), (50, 255)]
#: Of so few elements that as many as a register has lanes are folded side by side, and a rest.
SHORT_ROWS += [(45, 2), (301, 3), (33, 4), (50, 6), (67, 7)]


def as_slot(a):
    """As executors take it: bfloat16 as its bits."""
    return a.view(np.uint16) if a.dtype == ml_dtypes.bfloat16 else a


def numbers(shape, t, seed=0, nan=False):
    x = np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)
    if nan:
        x[np.random.default_rng(seed).random(shape) < 0.1] = np.nan
    return x.astype(TYPES[t])


def program(fold, types, along_rows):
    """`fold` of the inputs x0, x1, ... (i, j), over the last axis or the first."""
    b = Builder("fold")
    i, j = (b.parallel("i"), b.reduced("j")) if along_rows else (b.reduced("i"), b.parallel("j"))
    x = [b.input(f"x{n}", t, i, j) for n, t in enumerate(types)]
    for n, value in enumerate(fold(b, *x)):
        b.output(f"y{n}", "f32", (i if along_rows else j,), value)
    return b.build()


FOLDS = {
    "alone": lambda b, x, y: [b.sum(x), b.amax(x), b.amin(y)],
    "squares": lambda b, x, y: [b.sum(x * x), b.sum(y * y)],
    "products": lambda b, x, y: [b.sum(x * y)],
    "distances": lambda b, x, y: [b.sum((x - y) * (x - y)), b.amax((y - x) * (y - x))],
    "numbers": lambda b, x, y: [b.sum(b.nan_to_zero(x)), b.amax(b.nan_to_zero(y))],
    "chain": lambda b, x, y: [b.sum((x - 0.5) * y + x), b.amax(b.exp(x) - y)],
    "both": lambda b, x, y: [b.sum(x), b.sum(b.abs(x) * 2.0)],
}


def check(fold, types, shape, along_rows, gap=0):
    nan = fold == "numbers"
    memory = [numbers((shape[0], shape[1] + gap), t, n, nan) for n, t in enumerate(types)]
    x = {f"x{n}": as_slot(m)[:, : shape[1]] for n, m in enumerate(memory)}
    built = program(FOLDS[fold], types, along_rows)
    found = {n: launch(load(built, "cpp"), x, shape, n)[0] for n in (1, 2, 3)}
    assert len({b"".join(y.tobytes() for y in each) for each in found.values()}) == 1
    wanted, _ = launch(load(built, "python"), x, shape)
    for got, want in zip(found[1], wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("types", [("f32", "f32"), ("bf16", "bf16"), ("f16", "bf16")], ids="-".join)
@pytest.mark.parametrize("fold", FOLDS)
def test_folds(fold, types):
    for shape in SHAPES:
        for along_rows in (True, False):
            check(fold, types, shape, along_rows)
            check(fold, types, shape, along_rows, gap=3)


@pytest.mark.parametrize("types", [("f32", "f32"), ("bf16", "f16")], ids="-".join)
@pytest.mark.parametrize("fold", FOLDS)
def test_folds_of_short_rows(fold, types):
    for shape in SHORT_ROWS:
        check(fold, types, shape, along_rows=True)
        check(fold, types, shape, along_rows=True, gap=3)


def scaled(t, shape):
    """(x - largest) / sum((x - largest)^2 + x): folds of what is computed, and spread over rows;
    some rows have a NaN, an infinity, or are zeros of either sign."""
    b = Builder("scaled")
    i, j = b.parallel("i"), b.reduced("j")
    x = b.input("x", t, i, j)
    rest = x - b.amax(x)
    b.output("y", "f32", (i, j), rest / b.sum(rest * rest + x))
    values = numbers(shape, t)
    values[3, -1], values[5, 0], values[7], values[8] = np.nan, np.inf, 0.0, -0.0
    return b.build(), values


@pytest.mark.parametrize("t", TYPES)
def test_short_rows_of_several_passes(t):
    for shape in SHORT_ROWS:
        built, x = scaled(t, shape)
        found = [launch(load(built, "cpp"), {"x": as_slot(x)}, shape, n)[0][0] for n in (1, 2)]
        assert found[0].tobytes() == found[1].tobytes()
        wide = x.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = wide - wide.max(-1, keepdims=True)
            wanted = rest / (rest * rest + wide).sum(-1, keepdims=True)
        np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-6)


def weighed(t):
    """Rows less their mean, weighed and shifted by lines that all of them share, of which the
    programs' other sections read one too."""
    b = Builder("weighed")
    i, j = b.parallel("i"), b.reduced("j")
    x, w, v = b.input("x", t, i, j), b.input("w", t, j), b.input("v", t, j)
    mean = b.sum(x * b.exp(w)) / b.cast(b.extent(j), "f32")
    rest = x - mean
    b.output("y", "f32", (i, j), rest * b.rsqrt(b.sum(rest * rest) + 1.0) * w + b.exp(v))
    return b.build()


@pytest.mark.parametrize("t", TYPES)
def test_lines_that_rows_share(t):
    for shape in [*SHORT_ROWS, *SHAPES]:
        x, w, v = (numbers(s, t, n) for n, s in enumerate([shape, shape[1:], shape[1:]]))
        given = {"x": as_slot(x), "w": as_slot(w), "v": as_slot(v)}
        found = [launch(load(weighed(t), "cpp"), given, shape, n)[0][0] for n in (1, 2)]
        assert found[0].tobytes() == found[1].tobytes()
        x, w, v = (a.astype(np.float64) for a in (x, w, v))
        rest = x - (x * np.exp(w)).mean(-1, keepdims=True)
        wanted = rest / np.sqrt((rest * rest).sum(-1, keepdims=True) + 1) * w + np.exp(v)
        np.testing.assert_allclose(found[0], wanted, rtol=2e-4, atol=2e-4)


def moments(t):
    """The mean, the variance, and the sums of third powers and of products with the mean."""
    b = Builder("moments")
    i, j = b.parallel("i"), b.reduced("j")
    x = b.input("x", t, i, j)
    mean = b.sum(x) / b.cast(b.extent(j), "f32")
    rest = x - mean
    folds = [b.sum(rest * rest), b.sum(rest * rest * rest), b.amax(mean * x - mean)]
    for n, value in enumerate([mean, *folds]):
        b.output(f"y{n}", "f32", (i,), value)
    return b.build()


@pytest.mark.parametrize("t", TYPES)
def test_rows_folded_twice_share_a_tile(t):
    """The same bits as one row alone, which is a tile of its own."""
    built = load(moments(t), "cpp")
    for shape in [(64, 256), (67, 300), (33, 1000), (16, 2047), (20, 513)]:
        x = numbers(shape, t)
        found = [launch(built, {"x": as_slot(x)}, shape, n)[0] for n in (1, 2)]
        alone = [built(x=as_slot(x[n : n + 1])) for n in range(shape[0])]
        for each in found:
            for got, rows in zip(each, zip(*alone, strict=True), strict=True):
                assert got.tobytes() == b"".join(np.asarray(y).tobytes() for y in rows)
        wide = x.astype(np.float64)
        rest = wide - wide.mean(-1, keepdims=True)
        for got, want in zip(found[0], [wide.mean(-1), (rest**2).sum(-1)], strict=False):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_what_is_true_is_counted_where_it_lies():
    """Any byte but 0 is true; more of them than a lane of bytes can count."""
    b = Builder("count")
    i, j = b.parallel("i"), b.reduced("j")
    mask, x = b.input("mask", "bool", i, j), b.input("x", "f32", i, j)
    for n, value in enumerate([mask, x > 0.0, mask & (x > 0.0)]):
        b.output(f"y{n}", "i64", (i,), b.sum(b.cast(value, "i64")))
    built = b.build()
    for shape in [*SHAPES, *SHORT_ROWS, (2, 70001)]:
        x = numbers(shape, "f32")
        bytes_ = np.random.default_rng(1).integers(0, 3, shape, np.uint8)
        given = {"mask": bytes_.view(np.bool_), "x": x}
        wanted = [(y != 0).sum(-1) for y in (bytes_, x > 0, (bytes_ != 0) & (x > 0))]
        for threads in (1, 2):
            found, _ = launch(load(built, "cpp"), given, shape, threads)
            for got, want in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("t", ["i8", "u8", "i16", "i32", "i64"])
def test_integers(t):
    """Extremes and sums that wrap, of rows that do not fill a register, and of all there are."""
    b = Builder("integers")
    i, j = b.parallel("i"), b.reduced("j")
    x = b.input("x", t, i, j)
    for n, value in enumerate([b.amax(x), b.amin(x), b.sum(b.cast(x, "i32"))]):
        b.output(f"y{n}", "i32" if n == 2 else t, (i,), value)
    built, dtype = load(b.build(), "cpp"), np.dtype(t[0] + str(int(t[1:]) // 8))
    for shape in [*SHAPES, *SHORT_ROWS, (5, 1023)]:
        limits = np.iinfo(dtype)
        x = np.random.default_rng(3).integers(limits.min, limits.max, shape, dtype, endpoint=True)
        wanted = [x.max(-1), x.min(-1), x.astype(np.int32).sum(-1, dtype=np.int32)]
        for threads in (1, 2):
            for got, want in zip(launch(built, {"x": x}, shape, threads)[0], wanted, strict=True):
                np.testing.assert_array_equal(got, want)


@pytest.mark.skipif(not fences.AVAILABLE, reason="needs mprotect")
@pytest.mark.parametrize("t", [*TYPES, "f64"])
def test_nothing_behind_a_row_is_read(t):
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_folds import fold_fenced\n"
        f"for columns in (5, 17, 31, 63, 65, 100):\n    fold_fenced({t!r}, columns)\n"
    )


def fold_fenced(t, columns):
    """The sum of rows of which the last one ends where a page begins that nobody may read."""
    x = np.arange(7 * columns).reshape(7, columns) % 5
    x = fences.fenced(as_slot(x.astype(TYPES.get(t, "f8"))), at_end=True)
    b = Builder("sum")
    i, j = b.parallel("i"), b.reduced("j")
    b.output("y", "f64" if t == "f64" else "f32", (i,), b.sum(b.input("x", t, i, j)))
    (y,) = load(b.build(), "cpp")(x=x)
    np.testing.assert_array_equal(y, (np.arange(7 * columns).reshape(7, -1) % 5).sum(-1))


def widened(t, along_rows, shape):
    """The sums of halves, and of the same numbers as float32."""
    x = numbers(shape, t)
    halves = load(program(lambda b, x: [b.sum(x)], [t], along_rows), "cpp")
    floats = load(program(lambda b, x: [b.sum(x)], ["f32"], along_rows), "cpp")
    return halves(x0=as_slot(x)), floats(x0=x.astype(np.float32))


@pytest.mark.parametrize("along_rows", [True, False])
@pytest.mark.parametrize("t", ["f16", "bf16"])
def test_halves_have_the_bits_of_their_floats(t, along_rows):
    for shape in SHAPES:
        np.testing.assert_array_equal(*widened(t, along_rows, shape))


def hashes_of_short_rows():
    made = (scaled(t, shape) for t in TYPES for shape in SHORT_ROWS)
    outputs = (load(built, "cpp")(x=as_slot(x))[0] for built, x in made)
    return [hashlib.sha256(y.tobytes()).hexdigest() for y in outputs]


def test_every_instruction_set_has_the_same_bits_of_short_rows():
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_folds import hashes_of_short_rows\n"
        f"assert hashes_of_short_rows() == {hashes_of_short_rows()!r}\n"
    )


def test_every_instruction_set_has_the_same_bits():
    shapes = SHAPES[1:4]
    wanted = [
        np.asarray(widened(t, rows, shape)[0]).tobytes().hex()
        for t in ("f16", "bf16") for rows in (True, False) for shape in shapes
    ]  # fmt: skip
    run_on_each(
        "import numpy as np\nfrom tests.kernel.interpreter.cpp.test_folds import widened\n"
        f"found = [np.asarray(widened(t, rows, shape)[0]).tobytes().hex() for t in ('f16', 'bf16')"
        f" for rows in (True, False) for shape in {shapes!r}]\n"
        f"assert found == {wanted!r}\n"
    )


@pytest.mark.parametrize("types", [("f32", "f32"), ("bf16", "bf16")], ids="-".join)
@pytest.mark.parametrize("rows", [1600, 2100])
def test_rows_from_memory_are_read_ahead_and_written_past_the_caches(types, rows):
    """A gradient as softmax has it, (rows, 1000): from 24 MiB on what is written is streamed."""
    b = Builder("gradient")
    i, j = b.parallel("i"), b.reduced("j")
    gradient, y = (b.input(n, t, i, j) for n, t in zip(("gradient", "y"), types, strict=True))
    total = b.sum((gradient - 0.25) * y * gradient)
    b.output("d", types[0], (i, j), (gradient - total) * y + gradient)
    given = {"gradient": numbers((rows, 1000), types[0]), "y": numbers((rows, 1000), types[1], 1)}
    x = {name: as_slot(array) for name, array in given.items()}
    found = [launch(load(b.build(), "cpp"), x, (rows, 1000), n)[0][0] for n in (1, 2)]
    assert found[0].tobytes() == found[1].tobytes()
    gradient, y = (array.astype(np.float64) for array in given.values())
    total = ((gradient - 0.25) * y * gradient).sum(-1, keepdims=True)
    wanted = (gradient - total) * y + gradient
    got = found[0].view(TYPES[types[0]]).astype(np.float64)
    close = 2e-2 if types[0] == "bf16" else 1e-4
    np.testing.assert_allclose(got, wanted, rtol=close, atol=100 * close)


WHOLE = {t: np.dtype(t.replace("i", "int").replace("u", "uint")) for t in ("i8", "u8", "i16")}
WHOLE |= {"i32": np.dtype("i4"), "i64": np.dtype("i8"), "f64": np.dtype("f8")}
#: Around a register's, the lanes', a block's and a tile's number of elements, and several tiles.
LENGTHS = (1, 31, 255, 256, 257, 4095, 4097, 8200, 16385, 70001, 600001)


@pytest.mark.parametrize("t", WHOLE)
@pytest.mark.parametrize("fold", ["sum", "prod", "amax", "amin"])
def test_long_rows_of_other_types(fold, t):
    """The whole range of a type, so that sums and products of integers wrap."""
    if fold == "prod" and t == "f64":
        pytest.skip("a product of so many numbers is 0 or infinite")
    b = Builder("row")
    i, j = b.parallel("i"), b.reduced("j")
    b.output("y", t, (i,), getattr(b, fold)(b.input("x", t, i, j)))
    built = b.build()
    random = np.random.default_rng(3)
    for length in LENGTHS:
        for rows in (1, 3):
            if t == "f64":
                x = random.standard_normal((rows, length))
            else:
                low, high = np.iinfo(WHOLE[t]).min, np.iinfo(WHOLE[t]).max
                x = random.integers(low, high, (rows, length), WHOLE[t], endpoint=True)
            (got,), (want,) = (np.atleast_2d(load(built, n)(x=x)) for n in ("cpp", "python"))
            close = {"rtol": 1e-12, "atol": 1e-10} if t == "f64" else {"rtol": 0, "atol": 0}
            np.testing.assert_allclose(got, want, **close)
