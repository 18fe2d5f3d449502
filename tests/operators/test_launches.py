"""Programs on arrays: bound once for each layout, on the backend that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from gint.host import selection
from gint.operators import launches
from gint.operators.launches import active, compute, use_backend

X = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)


def scaled(b, lead, types, power=1):
    """The power of x, times a factor."""
    x, y = types
    value = b.input("x", x, *lead)
    once = value * b.cast(b.param("factor", "f64"), x)
    for _ in range(power - 1):
        once = once * value
    b.output("y", y, lead, b.cast(once, y))


@pytest.mark.parametrize("name", ["python", "cpp", "opencl"])
def test_on_every_backend_and_any_strides(name):
    if name not in selection.usable():
        pytest.skip(f"the backend {name} is not usable here")
    out = np.empty((5, 4, 3), np.float64).transpose(2, 1, 0)
    with use_backend(selection.select(name)):
        compute(scaled, X[:, ::-1], out, params=(2.5,), choices=(2,))
    np.testing.assert_allclose(out, X[:, ::-1] ** 2 * 2.5, rtol=1e-6)


def test_a_layout_is_bound_once_and_parameters_are_told_apart(monkeypatch):
    bound = []
    original = launches._executable
    monkeypatch.setattr(
        launches, "_executable", lambda *args: bound.append(args) or original(*args)
    )
    out = np.empty_like(X)
    for factor in (3.0, 3.0, 3.0):
        compute(scaled, X, out, params=(factor,))
    assert len(bound) <= 1
    compute(scaled, X, out, params=(-1.0,))
    np.testing.assert_array_equal(out, -X)
    compute(scaled, X, out, params=(3.0,))
    np.testing.assert_array_equal(out, X * 3)


def test_nothing_is_run_for_a_result_without_elements():
    compute(None, X[:0], np.empty((0, 4, 5), np.float32))


def test_the_backend_is_the_one_that_is_named_last():
    outside = active()
    inner = selection.select("python")
    with use_backend(selection.select("cpp" if "cpp" in selection.usable() else "python")):
        with use_backend(inner):
            assert active() is inner
        assert active() is not inner or "cpp" not in selection.usable()
    assert active() is outside
