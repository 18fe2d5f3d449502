"""Gathers on every backend: positions loaded and computed, in rows and in elements, and outside."""

from __future__ import annotations

import numpy as np
import pytest

from gint.backend.errors import INDEX_OUT_OF_RANGE
from gint.host.executor import load
from gint.host.frontend import Builder, bytecode
from gint.isa import DTYPES

RANDOM = np.random.default_rng(0)
#: Backends that read the caller's memory where it lies.
IN_PLACE = ["python", "cpp"]


def _values(dtype, shape: tuple[int, ...]) -> np.ndarray:
    return RANDOM.integers(0, 2 if dtype.name == "bool" else 100, shape).astype(dtype.numpy)


def _rows(t: str):
    @bytecode
    def rows(b: Builder) -> None:
        i, j, k = b.parallel("i"), b.parallel("j"), b.indexed("k")
        table = b.table("table", t, k, j)
        b.output("y", t, (i, j), b.gather(table, b.input("at", "i64", i)))

    return rows


def _elements(t: str):
    """y[i, j] = table[i, at[i, j], other[j]]"""

    @bytecode
    def elements(b: Builder) -> None:
        i, j, k, m = b.parallel("i"), b.parallel("j"), b.indexed("k"), b.indexed("m")
        table = b.table("table", t, i, k, m)
        found = b.gather(table, b.input("at", "i64", i, j), b.input("other", "i64", j))
        b.output("y", t, (i, j), found)

    return elements


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 300), (300, 7), (0, 4), (4, 0)], ids=str)
def test_rows_and_elements_of_every_type(backend, dtype, shape):
    rows, cols = shape
    table, at = _values(dtype, (11, cols)), RANDOM.integers(0, 11, rows)
    (y,) = load(_rows(dtype.name), backend)(table=table, at=at)
    np.testing.assert_array_equal(y, table[at])
    (y,) = load(_rows(dtype.name), backend)(table=table[::-2, ::-1], at=at // 2)
    np.testing.assert_array_equal(y, table[::-2, ::-1][at // 2])
    cube = _values(dtype, (rows, 4, 3)).transpose(2, 0, 1)[::-1].transpose(1, 2, 0)
    at, other = RANDOM.integers(0, 4, shape), RANDOM.integers(0, 3, cols)
    (y,) = load(_elements(dtype.name), backend)(table=cube, at=at, other=other)
    np.testing.assert_array_equal(y, cube[np.arange(rows)[:, None], at, other[None, :]])


@pytest.mark.parametrize("bad", [-1, 11, 2**62, -(2**63)])
@pytest.mark.parametrize("place", [0, 6, 12])
def test_a_position_outside_is_an_index_error(backend, bad, place):
    at = RANDOM.integers(0, 11, 13)
    at[place] = bad
    table, y = _values(DTYPES[6], (11, 5)), np.full((13, 5), 7, np.float32)
    with pytest.raises(IndexError, match="index out of range"):
        load(_rows("f32"), backend)(table=table, at=at, y=y)
    assert (y[place] == 0).all()
    others = np.arange(13) != place
    np.testing.assert_array_equal(y[others], table[at[others]])


def test_an_empty_table_makes_every_position_an_error(backend):
    kernel, table = load(_rows("f32"), backend), np.empty((0, 5), np.float32)
    with pytest.raises(IndexError):
        kernel(table=table, at=np.zeros(3, np.int64))
    (y,) = kernel(table=table, at=np.zeros(0, np.int64))
    assert y.shape == (0, 5)


@pytest.mark.parametrize("backend", IN_PLACE, indirect=True)
@pytest.mark.parametrize("length", [0, 1])
def test_the_stride_of_an_indexed_axis_of_one_position_may_be_any_number(backend, length):
    kernel, program = load(_rows("i16"), backend).kernel, _rows("i16").program
    table, at, y = np.full(3, 7, np.int16), np.zeros(2, np.int64), np.ones((2, 3), np.int16)
    by_name = {"table": (table, (2**62, 1)), "at": (at, (1,)), "y": (y, (3, 1))}
    extents = tuple({"i": 2, "j": 3, "k": length}[axis.name] for axis in program.axes)
    slots = [by_name[slot.name] for slot in program.slots]
    ready = kernel.prepare(extents, (), tuple((a.nbytes, 0, s) for a, s in slots))
    assert ready(*(a.ctypes.data for a, _ in slots)) == (0 if length else INDEX_OUT_OF_RANGE)
    np.testing.assert_array_equal(y, 7 if length else 0)


@pytest.mark.parametrize("backend", IN_PLACE, indirect=True)
def test_a_table_may_be_long_where_one_element_repeats(backend):
    table, length = np.broadcast_to(np.float32(7), (1 << 40, 5)), 1 << 40
    (y,) = load(_rows("f32"), backend)(table=table, at=np.array([0, length - 1]))
    np.testing.assert_array_equal(y, np.full((2, 5), 7))


@pytest.mark.parametrize("backend", IN_PLACE, indirect=True)
def test_an_empty_table_may_be_long_along_other_axes(backend):
    b = Builder("far")
    i, indexed = b.parallel("i"), [b.indexed(f"k{n}") for n in range(3)]
    table, at = b.table("table", "f32", *indexed), b.input("at", "i64", i)
    b.output("y", "f32", (i,), b.gather(table, at, at, at))
    kernel, y, at = load(b.build(), backend).kernel, np.ones(2, np.float32), np.zeros(2, np.int64)
    slots = ((y.nbytes, 0, (1, 1, 1)), (at.nbytes, 0, (1,)), (y.nbytes, 0, (1,)))
    ready = kernel.prepare((2, 0, 1 << 40, 1 << 40), (), slots)
    assert ready(y.ctypes.data, at.ctypes.data, y.ctypes.data) == INDEX_OUT_OF_RANGE
    np.testing.assert_array_equal(y, 0)


@bytecode
def rolled(b: Builder) -> None:
    """Each row rolled by an element, padded with -1 where its number is odd; and summed."""
    i, j, k = b.parallel("i"), b.reduced("j"), b.indexed("k")
    table = b.table("table", "f32", i, k)
    x = b.gather(table, (b.index(j) + b.extent(k) - 1) % b.extent(k))
    x = b.where(b.eq(b.index(i) % 2, 1), -1.0, x)
    b.output("y", "f32", (i, j), x)
    b.output("total", "f32", (i,), b.sum(x))
    b.output("first", "f32", (i,), b.gather(table, b.cast(b.sum(x), "i64") * 0))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (50, 700), (2, 60000)], ids=str)
def test_computed_positions_and_reductions(backend, shape):
    table = RANDOM.integers(-9, 9, shape).astype(np.float32)
    y, total, first = load(rolled, backend)(table=table, extents={"j": shape[1]})
    wanted = np.where(np.arange(shape[0])[:, None] % 2 == 1, -1, np.roll(table, 1, 1))
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(total, wanted.sum(1))
    np.testing.assert_array_equal(first, table[:, 0])


def _window(t: str, step: int, by_row: int, outside: float | int | bool):
    """yk[n, i, j] = x[n, by_row * i - 1, step * j + k - 2], and the largest of the three."""

    @bytecode
    def window(b: Builder) -> None:
        n, i, j = b.parallel("n"), b.parallel("i"), b.parallel("j")
        x = b.table("x", t, n, b.indexed("h"), b.indexed("w"))
        found = [
            b.gather(x, b.index(i) * by_row - 1, b.index(j) * step + k - 2, outside=outside)
            for k in range(3)
        ]
        for k, value in enumerate(found):
            b.output(f"y{k}", t, (n, i, j), value)
        b.output("most", t, (n, i, j), b.maximum(found[2], b.maximum(found[1], found[0])))

    return window


def _taken(x: np.ndarray, rows: np.ndarray, cols: np.ndarray, outside) -> np.ndarray:
    inside = (rows >= 0) & (rows < x.shape[1]), (cols >= 0) & (cols < x.shape[2])
    if not x.size:
        return np.full((len(x), len(rows), len(cols)), outside, x.dtype)
    taken = x[:, np.where(inside[0], rows, 0)][:, :, np.where(inside[1], cols, 0)]
    return np.where(inside[0][:, None] & inside[1], taken, np.asarray(outside, x.dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("steps", [(1, 1), (2, 2), (-1, 1), (0, 3), (1, 0)], ids=str)
@pytest.mark.parametrize("shape", [(2, 5, 7), (1, 3, 700), (3, 40, 20), (2, 0, 4)], ids=str)
def test_what_is_outside_a_window_has_a_value(backend, dtype, steps, shape):
    step, by_row = steps
    kernel = load(_window(dtype.name, step, by_row, 1), backend)
    x = _values(dtype, shape)
    extents = {"i": max(shape[1], 2), "j": shape[2]}
    for at in (x, np.asfortranarray(x), np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0)):
        found = kernel(x=at, extents=extents)
        rows = np.arange(extents["i"]) * by_row - 1
        one = 0x3F80 if dtype.name == "bf16" else 1  # NumPy has its bits
        wanted = [_taken(x, rows, np.arange(shape[2]) * step + k - 2, one) for k in range(3)]
        for y, w in zip(found, [*wanted, np.maximum.reduce(wanted)], strict=True):
            np.testing.assert_array_equal(y, w)


@pytest.mark.parametrize("name", ["add", "maximum", "minimum"])
@pytest.mark.parametrize("t", ["f32", "f64"])
@pytest.mark.parametrize("shape", [(2, 9, 3, 70), (1, 6, 64, 5), (2, 4, 30, 16)], ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_stencils_combine_windows_as_they_stand(backend, name, t, shape, channels_last):
    """Nine windows, NaN and both zeros among their elements, in one memory format or the other."""
    outside = {"add": 0.0, "maximum": -np.inf, "minimum": np.inf}[name]

    @bytecode
    def stencil(b: Builder) -> None:
        n, c, i, j = (b.parallel(a) for a in "ncij")
        x = b.table("x", t, n, c, b.indexed("h"), b.indexed("w"))
        total = None
        for k in range(9):
            at = b.index(i) * 2 + k // 3 - 1, b.index(j) + k % 3 - 1
            value = b.gather(x, *at, outside=outside)
            total = value if total is None else b.emit(name, value, total)
        b.output("y", t, (n, c, i, j), total)
        b.output("scaled", t, (n, c, i, j), total * 0.5)

    x = RANDOM.choice([-0.0, 0.0, 1.0, -2.5, np.nan], shape, p=[0.3, 0.3, 0.2, 0.19, 0.01])
    x = x.astype(np.float32 if t == "f32" else np.float64)
    if channels_last:
        x = x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    extents = {"i": (shape[2] + 1) // 2, "j": shape[3]}
    y = np.empty_like(x[:, :, : extents["i"]]) if channels_last else None
    given = {} if y is None else {"y": y}
    found = load(stencil, backend)(x=x, extents=extents, **given)
    expected = load(stencil, "python")(x=x.copy(), extents=extents)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a) | np.isnan(a), np.signbit(b) | np.isnan(b))


@pytest.mark.parametrize("t", ["bf16", "f16", "f32"])
def test_the_value_outside_is_rounded_to_the_slots_type(backend, t):
    b = Builder("edge")
    i, k = b.parallel("i"), b.indexed("k")
    table = b.table("table", t, k)
    b.output("near", "f32", (i,), b.gather(table, b.index(i) - 2, outside=1.000244140625))
    b.output("far", "f32", (i,), b.gather(table, b.input("at", "i64", i), outside=-1e6))
    table = np.zeros(5, np.uint16 if t == "bf16" else np.dtype({"f16": "f2", "f32": "f4"}[t]))
    near, far = load(b.build(), backend)(table=table, at=np.full(9, -1))
    wanted = {"bf16": (1.0, -999424.0), "f16": (1.0, -np.inf), "f32": (1.000244140625, -1e6)}[t]
    assert np.all(near[[0, 1, 7, 8]] == np.float32(wanted[0]))
    assert np.all(far == np.float32(wanted[1]))
