"""Values that vary along short lines alone: computed once per thread, whatever tiles follow, or
once before the tiles of a block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder, Value, bytecode

pytestmark = pytest.mark.cpp
RANDOM = np.random.default_rng(0)


def normalise(b: Builder, n: int, i: int, before: Callable[[Value], Value]) -> None:
    c, k = b.parallel("c"), b.indexed("k")
    x = before(b.input("x", "f32", n, i, c))
    scale = b.rsqrt(b.input("variance", "f32", c) + 1e-5)
    half = b.input("half", "bf16", c)
    shift = b.input("shift", "f64", c)
    chosen = b.gather(b.table("table", "f32", k), b.input("at", "i64", c))
    shifted = b.gather(b.table("line", "f32", k), b.index(c) - 2, outside=7.0)
    mask = b.input("mask", "bool", c)
    y = (x - chosen) * scale * half + b.cast(shift, "f32")
    y = b.where(mask, y, shifted)
    y = b.where(b.index(c) < 3, y + b.cast(b.index(i), "f32"), y * shifted)
    b.output("y", "f32", (n, i, c), y)
    b.output("z", "f32", (n, i, c), b.maximum(x * half, shifted * 2.0))


@bytecode
def normalised(b: Builder) -> None:
    """As a normalisation by channel, with everything that a line may hold."""
    normalise(b, b.parallel("n"), b.parallel("i"), lambda x: x)


@bytecode
def normalised_by_itself(b: Builder) -> None:
    """By what is folded first, exactly."""
    normalise(b, b.reduced("n"), b.reduced("i"), lambda x: x - b.amax(x))


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("shape", [(1, 1, 5), (2, 7, 3), (3, 100, 17), (2, 300, 64), (5, 40, 255)])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("program", [normalised, normalised_by_itself], ids=["alone", "folded"])
def test_lines_are_the_same_in_all_tiles(program, shape, step, threads, monkeypatch):
    monkeypatch.setenv("GINT_THREADS", threads)
    channels = shape[-1]

    def line(dtype):
        return RANDOM.integers(0, 9, channels * step).astype(dtype)[::step]

    given = {
        "x": RANDOM.standard_normal(shape, np.float32), "variance": line(np.float32),
        "half": line(np.uint16) + np.uint16(0x3F80), "shift": line(np.float64),
        "table": RANDOM.standard_normal(9, np.float32), "at": line(np.int64),
        "mask": line(np.bool_), "line": RANDOM.standard_normal(9, np.float32),
    }  # fmt: skip
    found, expected = (load(program, name)(**given) for name in ("cpp", "python"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@bytecode
def scaled(b: Builder) -> None:
    """A line times what is one number for all of them, loaded and computed."""
    n, c = b.parallel("n"), b.parallel("c")
    half, single, whole = (b.input(t, t) for t in ("bf16", "f32", "i64"))
    line = b.cast(b.input("line", "i8", c), "f32") * 3.0 + half
    factor = b.cast(whole, "f32") / single
    b.output("y", "f32", (n, c), line * factor + b.cast(b.index(n), "f32") * half)


@pytest.mark.parametrize("shape", [(4, 15), (1, 1), (3, 1), (100, 40), (0, 5)])
def test_single_values_are_there_before_the_lines_that_need_them(shape):
    given = {
        "bf16": np.uint16(0x4040), "f32": np.float32(7), "i64": np.int64(-3),
        "line": np.arange(shape[1]).astype(np.int8),
    }  # fmt: skip
    given = {name: np.asarray(value) for name, value in given.items()}
    extents = dict(zip(("n", "c"), shape, strict=True))
    found, expected = (load(scaled, name)(extents=extents, **given) for name in ("cpp", "python"))
    np.testing.assert_array_equal(found, expected)


@bytecode
def chosen(b: Builder) -> None:
    """A line that is computed once from a constant whose loop wants it as a line."""
    n, c = b.parallel("n"), b.parallel("c")
    line = b.input("line", "i32", c)
    kept = b.where(b.const(True, "bool"), line, b.const(-(2**31), "i32"))
    b.output("y", "i32", (n, c), kept + line * line)


@pytest.mark.parametrize("shape", [(4, 15), (1, 3), (3, 2), (100, 40)])
def test_constants_are_there_before_the_lines_that_need_them(shape):
    line = np.arange(2 * shape[1], dtype=np.int32)[::2]
    extents = dict(zip(("n", "c"), shape, strict=True))
    (found,) = load(chosen, "cpp")(line=line, extents=extents)
    np.testing.assert_array_equal(found, np.broadcast_to(line + line * line, shape))


@bytecode
def over_reduced_axes(b: Builder) -> None:
    n, i, c = b.parallel("n"), b.reduced("i"), b.reduced("c")
    b.output("y", "f16", (i, n, c), b.input("x", "f32", c))


def test_lines_along_a_reduced_axis():
    x = np.array([0.25, -8.0], np.float32)
    (y,) = load(over_reduced_axes, "cpp")(extents={"n": 2, "i": 2, "c": 2}, x=x)
    np.testing.assert_array_equal(y, np.broadcast_to(x.astype(np.float16), (2, 2, 2)))


@bytecode
def weighted(b: Builder) -> None:
    """Long lines beside one line of weights: several lines are a tile, the last of them fewer."""
    n, c = b.parallel("n"), b.parallel("c")
    x, w = b.input("x", "f32", n, c), b.input("w", "f32", c)
    b.output("y", "f32", (n, c), b.where(x > 0, x, x * w))
    b.output("z", "f32", (n, c), (x + w) * 2.0 - w)


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("shape", [(1, 300), (3, 256), (11, 257), (129, 1024), (7, 4099)])
def test_long_lines_beside_weights(shape, threads, monkeypatch):
    monkeypatch.setenv("GINT_THREADS", threads)
    x, w = RANDOM.standard_normal(shape, np.float32), RANDOM.standard_normal(shape[1], np.float32)
    found, expected = (load(weighted, name)(x=x, w=w) for name in ("cpp", "python"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
