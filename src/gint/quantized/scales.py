"""Scales of blocks whose scale is chosen, not prescribed: the least squares over some candidates.

A scale given, the nearest integers are easy; integers given, the best scale is a quotient of two
sums. So some scales near the plain one (which maps the largest value to the largest integer) are
rounded with, the best scale for those integers is taken, and the one with the least error wins.
Errors are weighted: large values count more, as ggml weighs them where it knows of no activations.

Values lie along the first axis, blocks along the second, so that sums are sums of long rows.
Knows arrays. Does not know bytes, formats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Candidates: so much is added to the integer that the largest value is mapped to.
_STEPS = np.linspace(-0.9, 0.9, 10, dtype=np.float32)


def inverse(scale: np.ndarray) -> np.ndarray:
    """1 / scale, and 0 for 0."""
    return np.where(scale == 0, np.float32(0), 1 / scale)


def peak(x: np.ndarray) -> np.ndarray:
    """(values, blocks) -> (blocks,): the value of largest magnitude, with its sign."""
    high, low = x.max(axis=0), x.min(axis=0)
    return np.where(-low > high, low, high)


def symmetric(
    x: np.ndarray, most: int, nearest: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The plain and the best scale (blocks,) of x ~ scale * nearest(x / scale).

    `nearest` rounds to the numbers there are, in new memory; the value of largest magnitude
    becomes `most` by the plain scale, whose sign may be that of neither.
    """
    largest = peak(x)
    plain = largest / np.float32(most)
    best, gained = plain, np.full_like(plain, -np.inf)
    weighted = x * x
    for step in _STEPS:
        q = nearest(x * ((most + step) * inverse(largest)))
        of_q = weighted * q
        along, square = _dot(of_q, x), _dot(of_q, q)
        # The weighted error is the sum of x**4 less this.
        gain = along * along * inverse(square)
        better = gain > gained
        best = np.where(better, along * inverse(square), best)
        gained = np.where(better, gain, gained)
    return plain, best


Affine = tuple[np.ndarray, np.ndarray]


def affine(x: np.ndarray, levels: int) -> tuple[Affine, Affine]:
    """The plain and the best (scale, shift), (blocks,) each, of x ~ scale * q - shift.

    q is an integer from 0 to `levels`; scale and shift are not negative.
    """
    low = np.minimum(x.min(axis=0), 0)
    span = x.max(axis=0) - low
    plain = (span / np.float32(levels), -low)
    best, least = plain, np.full_like(span, np.inf)
    weight = np.abs(x) + np.sqrt(np.mean(x * x, axis=0))
    weighted = weight * x
    of_one, of_x = weight.sum(axis=0), weighted.sum(axis=0)
    raised = x - low
    for step in _STEPS:
        q = raised * ((levels + step) * inverse(span))
        np.rint(q, out=q)
        np.clip(q, 0, levels, out=q)
        of_qq, of_q, of_qx = _dot(weight * q, q), _dot(weight, q), _dot(weighted, q)
        determinant = inverse(of_one * of_qq - of_q * of_q)
        scale = (of_one * of_qx - of_x * of_q) * determinant
        shift = (of_q * of_qx - of_qq * of_x) * determinant
        below = ~(shift >= 0)
        scale = np.where(below, of_qx * inverse(of_qq), scale)
        shift = np.where(below, 0, shift)
        off = scale * q
        off -= shift
        off -= x
        error = _dot(weight * off, off)
        better = (error < least) & (scale >= 0)
        best = (np.where(better, scale, best[0]), np.where(better, shift, best[1]))
        least = np.where(better, error, least)
    return plain, best


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=0)
