"""The best scales, against all candidates tried one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gint.quantized.scales import _STEPS, inverse, peak, symmetric

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


#: Of a gain in float32, relative: `along` and `square` are sums of 32 terms of three factors, each
#: off by 31 + 3 roundings at most; the gain has one twice, the other once, and three of its own.
GAIN = (3 * (31 + 3) + 3) * 2.0**-24
#: Two candidates whose gains differ by less than float32 tells apart.
CLOSE = np.full((32, 4), 73, np.float32)
CLOSE[0, 0] = 5


@given(arrays(np.float32, (32, 4), elements=st.integers(-99, 99)))
@example(CLOSE)
def test_no_candidate_is_better_than_the_best_scale(x):
    with np.errstate(all="ignore"):
        plain, best = symmetric(x, -8, nearest)
        np.testing.assert_array_equal(plain, peak(x) / np.float32(-8))
        least = error(x, best, nearest(x * inverse(best)))
        # The weighted error is the sum of x**4 less the gain: of either candidate.
        slack = 2 * GAIN * (x.astype(np.float64) ** 4).sum(axis=0) + 1e-3
        for step in _STEPS:
            q = nearest(x * ((-8 + step) * inverse(peak(x)))).astype(np.float64)
            along, square = (x * x * q * x).sum(axis=0), (x * x * q * q).sum(axis=0)
            scale = np.divide(along, square, out=np.zeros(4), where=square != 0)
            assert (least <= error(x, scale, q) * 1.001 + slack).all()
