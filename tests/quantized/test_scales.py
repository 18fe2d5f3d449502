"""The best scales, against all candidates tried one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gint.quantized.scales import inverse, peak, symmetric

VALUES = arrays(np.float32, (32, 4), elements=st.floats(-100, 100, width=32))


def nearest(x: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(x), -8, 7)


def error(x, scale, q):
    """Weighted by x**2, in float64."""
    x = x.astype(np.float64)
    return (x * x * (x - scale.astype(np.float64) * q) ** 2).sum(axis=0)


def test_the_inverse_of_nothing_is_nothing():
    with np.errstate(divide="ignore"):
        assert inverse(np.array([2, 0, -4], np.float32)).tolist() == [0.5, 0, -0.25]


@given(VALUES)
def test_the_peak_keeps_its_sign(x):
    found = peak(x)
    assert (np.abs(found) == np.abs(x).max(axis=0)).all()
    assert all(found[n] in x[:, n] for n in range(4))


@given(VALUES)
def test_the_best_scale_is_not_worse_than_the_plain_one(x):
    with np.errstate(all="ignore"):
        plain, best = symmetric(x, -8, nearest)
        q_plain = nearest(x * inverse(plain))
        q_best = nearest(x * inverse(best))
    assert (error(x, best, q_best) <= error(x, plain, q_plain) * 1.05 + 1e-3).all()
