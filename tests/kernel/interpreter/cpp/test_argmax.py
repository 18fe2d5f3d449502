"""argmax and argmin of every type: along lines, down columns and over whole tensors, with indices
that are found by where an element lies and with others, are NumPy's interpreter's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gint.backend import registry
from gint.host.executor import load
from gint.host.frontend import Builder

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.skipif(
        not registry.probe("cpp").usable, reason=f"cpp: {registry.probe('cpp').reason}"
    ),
]

DTYPES = {
    "f32": "f4", "f64": "f8", "f16": "f2", "i64": "i8", "i32": "i4", "i16": "i2", "i8": "i1",
    "u8": "u1", "bool": "?",
}  # fmt: skip
#: What is kept of a tensor of (i, j, k), by the axes that are reduced.
REDUCED = ["k", "j", "i", "jk", "ij", "ik", "ijk"]
SHAPES = [(2, 3, 5), (3, 5, 64), (1, 100, 257), (5, 70, 300), (2, 2, 4097), (3, 1, 1), (70, 9, 16)]
SHAPES += [(5, 9, n) for n in (2, 4, 6, 7)]  # short rows, more than a register has lanes


def at_positions(b: Builder, axes: list[int]):
    """The position in what is reduced, as if it were one line."""
    index = b.index(axes[0])
    for axis in axes[1:]:
        index = index * b.extent(axis) + b.index(axis)
    return index


INDICES: dict[str, Callable] = {
    "in order": at_positions,
    "apart": lambda b, axes: at_positions(b, axes) * 3 - 7,
    "backwards": lambda b, axes: at_positions(b, axes) * -1,
    "of the last axis": lambda b, axes: b.index(axes[-1]) + 5,
    "wrapping": lambda b, axes: at_positions(b, axes) * (1 << 62),
    "computed": lambda b, axes: b.bitwise_xor(at_positions(b, axes), 3),
}


def program(opcode: str, t: str, reduced: str, index: Callable):
    b = Builder(opcode)
    axes = {n: (b.reduced if n in reduced else b.parallel)(n) for n in "ijk"}
    x = b.input("x", t, *axes.values())
    found = getattr(b, opcode)(x, index(b, [axes[n] for n in reduced]))
    b.output("y", "i64", tuple(a for n, a in axes.items() if n not in reduced), found)
    return b.build()


def values(t: str, shape: tuple[int, ...], order: str) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    x = rng.integers(-4, 5, shape)  # most values occur more than once
    if t == "bool":
        x = x == 4
    x = x.astype(DTYPES[t])
    if t.startswith("f"):
        x[rng.random(shape) < 0.1] *= -0.0
        x[rng.random(shape) < 0.5 / shape[-1]] = np.nan
    return np.asarray(x, order=order)


def compare(opcode: str, t: str, reduced: str, index: Callable, shapes=SHAPES) -> None:
    made = program(opcode, t, reduced, index)
    ours, wanted = load(made, "cpp"), load(made, "python")
    for shape in shapes:
        for order in "CF":
            x = values(t, shape, order)
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(ours(x=x)[0], wanted(x=x)[0], f"{shape} {order}")


@pytest.mark.parametrize("reduced", REDUCED)
@pytest.mark.parametrize("t", DTYPES)
def test_every_type_over_every_axis(t, reduced):
    for opcode in ("argmax", "argmin"):
        compare(opcode, t, reduced, at_positions)


@pytest.mark.parametrize("name", INDICES)
def test_any_index(name):
    for reduced in ("k", "j", "ik", "jk", "ijk"):
        compare("argmax", "f32", reduced, INDICES[name])


@pytest.mark.parametrize("reduced", ["k", "j", "ijk"])
def test_long_lines_and_columns(reduced):
    shapes = [(1, 3, 100_003), (1, 5000, 700), (2, 70_000, 3)]
    compare("argmin", "f32", reduced, at_positions, shapes)
