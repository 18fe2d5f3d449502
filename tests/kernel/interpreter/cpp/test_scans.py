"""The order of scans: the same bits for any number of threads and instruction set."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from gint.native.loader import load_native
from tests.kernel.interpreter.cpp.beside_numpy import launch

pytestmark = pytest.mark.cpp
ROOT = Path(__file__).resolve().parents[4]

SHAPES = [(1, 100_000), (3, 70_001), (700, 300), (300, 1000), (2, 4097), (40, 9)]
SHORT = [(500, n) for n in (1, 2, 3, 5, 7, 8, 13)]
TYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64}
NAMES = ("cumsum", "cumprod", "cummax", "logcumsumexp")


def program(name, t, is_row):
    b = Builder(name)
    i, j = (b.parallel("i"), b.reduced("j")) if is_row else (b.reduced("i"), b.parallel("j"))
    b.output("y", t, (i, j), b.emit(name, b.input("x", t, i, j)))
    return b.build()


def inputs(name, t, shape):
    x = np.random.default_rng(1).standard_normal(shape)
    return {"x": (1 + 1e-3 * x if name == "cumprod" else x).astype(np.dtype(t))}


def bits() -> bytes:
    """Of all programs that are exact without a fused multiply-add, with one thread."""
    found = b""
    for name in NAMES[:3]:
        for t in ("f4", "f8"):
            for shape in [*SHAPES[2:], *SHORT]:
                for is_row in (True, False):
                    kernel = load(program(name, {"f4": "f32", "f8": "f64"}[t], is_row), "cpp")
                    found += launch(kernel, inputs(name, t, shape), shape, 1)[0][0].tobytes()
    return found


@pytest.mark.parametrize("shape", [*SHAPES, *SHORT], ids=str)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_row", [True, False])
def test_bits_do_not_depend_on_threads(name, shape, is_row):
    kernel, given = load(program(name, "f32", is_row), "cpp"), inputs(name, "f4", shape)
    found = [launch(kernel, given, shape, threads)[0][0] for threads in (1, 2, 3)]
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.parametrize("t", ["f32", "f64", "i64", "i32"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
def test_a_short_row_is_the_beginning_of_a_long_one(name, t):
    """However few elements it has, and where there are NaN, infinities and zeros of both signs."""
    x = np.random.default_rng(2).integers(-3, 4, (300, 40)).astype(TYPES[t])
    if t[0] == "f":
        x /= 3
        x[::7, 3], x[::5, 1], x[::3, 4], x[::2, 2] = np.nan, -0.0, np.inf, -0.0
    kernel = load(program(name, t, True), "cpp")
    (long,), _ = launch(kernel, {"x": x}, x.shape)
    for n in range(1, 40):
        (short,), _ = launch(kernel, {"x": np.ascontiguousarray(x[:, :n])}, (300, n))
        np.testing.assert_array_equal(short, long[:, :n])
        if t[0] == "f":
            numbers = ~np.isnan(short)
            np.testing.assert_array_equal(
                np.signbit(short)[numbers], np.signbit(long[:, :n])[numbers]
            )


@pytest.mark.parametrize("t", ["f32", "f64"])
@pytest.mark.parametrize("shape", [(8, 700), (33, 31), (100, 129), (40, 5000)], ids=str)
def test_rows_side_by_side_are_columns(t, shape):
    """Of a function that costs much: element after element, as down columns."""
    x = inputs("logcumsumexp", TYPES[t], shape)["x"]
    x[1, 3], x[2, 0], x[3, :2], x[4] = np.nan, np.inf, -np.inf, -np.inf
    (rows,), _ = launch(load(program("logcumsumexp", t, True), "cpp"), {"x": x}, shape)
    turned = np.ascontiguousarray(x.T)
    (columns,), _ = launch(
        load(program("logcumsumexp", t, False), "cpp"), {"x": turned}, turned.shape
    )
    np.testing.assert_array_equal(rows, columns.T)


@pytest.mark.parametrize("t", TYPES)
@pytest.mark.parametrize("name", NAMES[:3])
def test_rows_of_one_operation_are_scanned_where_they_lie(name, t):
    """A row after the other, each whole: pieces of several would be brought together first."""
    given = inputs(name, TYPES[t], (300, 1000))
    text = load(program(name, t, True), "cpp").describe(**given)
    assert text.splitlines()[-1] == f"  SCAN  1x1000  {name}.{t}  s[y]  <- s[x]"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("is_row", [True, False])
def test_float32_is_rounded_once(shape, is_row):
    """What is carried is float64: n additions of 2**-53 are far below half a unit of float32."""
    given = inputs("cumsum", "f4", shape)
    (found,), _ = launch(load(program("cumsum", "f32", is_row), "cpp"), given, shape)
    exact = given["x"].astype(np.longdouble).cumsum(int(is_row))
    assert np.all(np.abs(found - exact) <= 0.5001 * np.spacing(np.abs(found)) + 1e-10)


def test_bits_do_not_depend_on_the_instruction_set():
    names = [name for name, supported in load_native().instruction_sets() if supported]
    code = "from tests.kernel.interpreter.cpp.test_scans import bits; import zlib;"
    code += "print(zlib.crc32(bits()))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "GINT_CPP_ISA": name}, cwd=ROOT,
            check=True, capture_output=True, text=True,
        ).stdout
        for name in names
    }  # fmt: skip
    assert len(found) == 1
