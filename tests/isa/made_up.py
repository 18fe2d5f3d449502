"""Runs the opcodes that test_made_up.py adds to a copy of the table on every backend usable here.

PYTHONPATH=COPY/src python tests/isa/made_up.py     prints the backends it compared
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from gint.backend import registry
from gint.backend import registry as backends
from gint.host.executor import load
from gint.host.frontend import Builder

NUMPY = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "u8": np.uint8}
ULPS = 8


def program(t: str, backend: str) -> Callable:
    """z = sub_square(x + y, y), of floats gauss of that; least = lowest(z) of each row."""
    b = Builder("made_up")
    i, j = b.parallel("i"), b.reduced("j")
    x, y = b.input("x", t, i, j), b.input("y", t, i, j)
    z = b.sub_square(x + y, y)
    z = b.gauss(z) if t.startswith("f") else z
    b.output("z", t, (i, j), z)
    b.output("least", t, (i,), b.lowest(z))
    return load(b.build(), backend)


def compare(backend: str, t: str, columns: int) -> None:
    """With NumPy's results; a fold is of the values that the backend itself has stored."""
    random = np.random.default_rng(columns)
    x, y = (random.integers(0, 9, (3, columns)).astype(NUMPY[t]) for _ in "xy")
    if t.startswith("f"):
        x, y = x / 8, y / 8
    z, least = program(t, backend)(x=x, y=y)
    expected = x + y - y * y
    if t.startswith("f"):
        np.testing.assert_array_max_ulp(z, np.exp(-expected * expected), ULPS)
    else:
        np.testing.assert_array_equal(z, expected)
    np.testing.assert_array_equal(least, z.min(axis=1))


def main() -> None:
    required = os.environ.get("GINT_REQUIRE", "").split(",")
    for backend in registry.names():
        answer = backends.probe(backend)
        assert answer.usable or backend not in required, f"{backend}: {answer.reason}"
        if answer.usable:
            for t in NUMPY:
                for columns in (1, 7, 200, 5000):
                    compare(backend, t, columns)
            print(backend)


if __name__ == "__main__":
    main()
