"""Bools are read where they lie: any byte but 0 is true, whatever reads it."""

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from tests.kernel.interpreter.cpp.beside_numpy import launch

pytestmark = pytest.mark.cpp

OPERATIONS = {
    "and": lambda b, x, y, f: b.bitwise_and(x, y),
    "xor": lambda b, x, y, f: b.bitwise_xor(x, y),
    "not": lambda b, x, y, f: b.bitwise_not(x),
    "le": lambda b, x, y, f: x <= y,
    "eq": lambda b, x, y, f: b.eq(x, y),
    "maximum": lambda b, x, y, f: b.maximum(x, y),
    "where": lambda b, x, y, f: b.where(x, f, 2.0),
    "where of bools": lambda b, x, y, f: b.where(x, y, x),
    "f32": lambda b, x, y, f: b.cast(x, "f32") * f,
    "i64": lambda b, x, y, f: b.cast(x, "i64") + b.cast(y, "i64"),
    "u8": lambda b, x, y, f: b.cast(x, "u8"),
    "itself": lambda b, x, y, f: x,
    "itself and more": lambda b, x, y, f: b.where(b.bitwise_or(x, y), x, y),
}


@pytest.mark.parametrize("length", [1, 63, 300, 70001])
@pytest.mark.parametrize("name", OPERATIONS)
def test_any_byte_is_true(name, length):
    rng = np.random.default_rng(length)
    x, y = rng.integers(0, 4, (2, length), np.uint8)
    f = rng.standard_normal(length).astype("f4")
    b = Builder("bools")
    i = b.parallel("i")
    value = OPERATIONS[name](b, *(b.input(n, "bool", i) for n in "xy"), b.input("f", "f32", i))
    b.output("z", value.type, (i,), value)
    program = b.build()
    results = []
    for backend, bools in (("cpp", (x.view(bool), y.view(bool))), ("python", (x != 0, y != 0))):
        ((found,), flag) = launch(
            load(program, backend), {"x": bools[0], "y": bools[1], "f": f}, (length,)
        )
        assert flag == 0
        results.append(found.view(np.uint8) if found.dtype == bool else found)
    np.testing.assert_array_equal(*results)


def test_rows_folded_are_of_true_and_false():
    x = np.random.default_rng(0).integers(0, 4, (70, 300), np.uint8)
    b = Builder("any")
    i, j = b.parallel("i"), b.reduced("j")
    b.output("z", "bool", (i,), b.amin(b.input("x", "bool", i, j)))
    (found,), _ = launch(load(b.build(), "cpp"), {"x": x.view(bool)}, x.shape)
    np.testing.assert_array_equal(found.view(np.uint8), (x != 0).all(1).astype(np.uint8))
