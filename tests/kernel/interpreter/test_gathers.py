"""Gathers on every backend: positions loaded and computed, in rows and in elements, and outside."""

from __future__ import annotations

import numpy as np
import pytest

from gint.backend import registry
from gint.backend.errors import INDEX_OUT_OF_RANGE
from gint.host.executor import load
from gint.host.frontend import Builder, bytecode
from gint.isa import DTYPES

RANDOM = np.random.default_rng(0)


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


@pytest.mark.parametrize("length", [0, 1])
def test_the_stride_of_an_indexed_axis_of_one_position_may_be_any_number(backend, length):
    kernel, program = load(_rows("i16"), backend).kernel, _rows("i16").program
    if registry.backend(backend).memory is not None:
        pytest.skip("memory of its own")
    table, at, y = np.full(3, 7, np.int16), np.zeros(2, np.int64), np.ones((2, 3), np.int16)
    by_name = {"table": (table, (2**62, 1)), "at": (at, (1,)), "y": (y, (3, 1))}
    extents = tuple({"i": 2, "j": 3, "k": length}[axis.name] for axis in program.axes)
    slots = [by_name[slot.name] for slot in program.slots]
    ready = kernel.prepare(extents, (), tuple((a.nbytes, 0, s) for a, s in slots))
    assert ready(*(a.ctypes.data for a, _ in slots)) == (0 if length else INDEX_OUT_OF_RANGE)
    np.testing.assert_array_equal(y, 7 if length else 0)


def test_a_table_may_be_long_where_one_element_repeats(backend):
    table, length = np.broadcast_to(np.float32(7), (1 << 40, 5)), 1 << 40
    if registry.backend(backend).memory is not None:
        pytest.skip("memory of its own")
    (y,) = load(_rows("f32"), backend)(table=table, at=np.array([0, length - 1]))
    np.testing.assert_array_equal(y, np.full((2, 5), 7))


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
