"""Tiles that go on from one another are taken several at once: with the results that NumPy's
interpreter has, to the last element, where lines begin off a cache line and where they are written
onto what is read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gint.backend import registry
from gint.host.executor import Executable, load
from gint.host.frontend import Builder

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.skipif(
        not registry.probe("cpp").usable, reason=f"cpp: {registry.probe('cpp').reason}"
    ),
]
AT_ONCE = "up to 64 at once"
TYPES = {"f32": np.float32, "f64": np.float64}
#: More than 64 tiles of 4096 elements, and neither a whole tile nor a whole block at the end.
LONG = 70 * 4096 + 133

ALONE: dict[str, Callable] = {
    "a chain": lambda b, x, y: 1.0 - y * y + x,
    "choices": lambda b, x, y: b.where(b.le(x, -1.0), 0.0, b.where(b.ge(x, 1.0), 0.0, y)),
    "a choice": lambda b, x, y: b.where(b.le(y, 0.5), 0.0, x),
    "an operation": lambda b, x, y: x * y,
    "extremes": lambda b, x, y: b.minimum(b.maximum(x, -1.0), y),
}
TWO_STEPS = lambda b, x, y: b.sin(x) * y  # noqa: E731


def executable(function: Callable, t: str, backend: str) -> Executable:
    b = Builder("together")
    n = b.parallel("n")
    b.output("z", t, (n,), function(b, b.input("x", t, n), b.input("y", t, n)))
    return load(b.build(), backend)


def operands(t: str, length: int = LONG) -> tuple[np.ndarray, np.ndarray]:
    """Their memory begins an element behind a cache line's middle."""
    rng = np.random.default_rng(length)
    x, y = (rng.standard_normal(length + 9).astype(TYPES[t])[9:] for _ in "xy")
    x[::97], y[::89], x[-1] = np.nan, -0.0, np.inf
    return x, y


@pytest.mark.parametrize("t", TYPES)
@pytest.mark.parametrize("name", ALONE)
def test_many_tiles(name, t):
    x, y = operands(t)
    fast, slow = (executable(ALONE[name], t, backend) for backend in ("cpp", "python"))
    assert AT_ONCE in fast.describe(x=x, y=y)
    (expected,) = slow(x=x, y=y)
    (got,) = fast(x=x, y=y)
    np.testing.assert_array_equal(got, expected)
    assert (np.signbit(got) == np.signbit(expected))[~np.isnan(got)].all()
    onto = x.copy()
    fast(x=onto, y=y, z=onto)
    np.testing.assert_array_equal(onto, expected)


def test_what_lies_between_steps_keeps_tiles():
    x, y = operands("f32")
    assert AT_ONCE not in executable(TWO_STEPS, "f32", "cpp").describe(x=x, y=y)


@pytest.mark.parametrize("layout", ["gaps", "rows"])
def test_memory_that_does_not_go_on_keeps_tiles(layout):
    x = np.zeros((600, 1300), np.float32)
    b = Builder("rows")
    i, j = b.parallel("i"), b.parallel("j")
    w = b.input("w", "f32", j) if layout == "rows" else 2.0
    b.output("z", "f32", (i, j), (b.input("x", "f32", i, j) + w) * 0.5)
    run = load(b.build(), "cpp")
    given = {"x": x, "w": x[0]} if layout == "rows" else {"x": x[:, :1200]}
    assert AT_ONCE not in run.describe(**given)
