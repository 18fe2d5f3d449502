"""What NumPy lacks, or does other than eager torch: the `fn` of the opcode table.

One `Functions` lives as long as one launch; it carries the launch's error flag.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from gint.isa.errors import DIVISION_BY_ZERO

_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


class Functions:
    def __init__(self) -> None:
        self.error = 0

    # Division: integers through the error flag, floats as c10's div_floor and remainder

    def _nonzero(self, b):
        if np.any(b == 0):
            self.error |= DIVISION_BY_ZERO
        return np.where(b == 0, np.ones_like(b), b)

    def _divide_int(self, divide, a, b):
        result = divide(a, self._nonzero(b))
        return np.where(b == 0, np.zeros_like(result), result)

    def floor_div_int(self, a, b):
        return self._divide_int(np.floor_divide, a, b)

    def remainder_int(self, a, b):
        return self._divide_int(np.remainder, a, b)

    def fmod_int(self, a, b):
        return self._divide_int(np.fmod, a, b)

    def trunc_div_int(self, a, b):
        def divide(a, b):
            quotient = np.floor_divide(a, b)
            rest = a - quotient * b
            return np.where(
                (rest != 0) & ((a < 0) != (b < 0)), quotient + a.dtype.type(1), quotient
            )

        return self._divide_int(divide, a, b)

    @staticmethod
    def floor_div_float(a, b):
        return np.where(b == 0, a / b, np.floor_divide(a, b))

    @staticmethod
    def remainder_float(a, b):
        rest = np.fmod(a, b)
        return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)

    @staticmethod
    def pow_int(a, b):
        one = a.dtype.type(1)
        power, base, exponent = np.ones_like(a * b), a, np.maximum(b, 0)
        while np.any(exponent):
            power = np.where(exponent & one, power * base, power)
            base, exponent = base * base, exponent >> one
        if a.dtype.kind == "u":
            return power
        odd = (b & one).astype(bool)
        unit = np.where(a == 1, one, np.where(a == -1, np.where(odd, -one, one), a * 0))
        return np.where(b < 0, unit, power)

    @staticmethod
    def maximum(a, b):
        return np.where((a > b) | (a != a), a, b)

    @staticmethod
    def minimum(a, b):
        return np.where((a < b) | (a != a), a, b)

    @staticmethod
    def fma(a, b, c):
        rows = np.broadcast(a, b, c)
        values = [_fma_of_numbers(x, y, z, a.dtype.type) for x, y, z in rows]
        return np.array(values, dtype=a.dtype).reshape(rows.shape)

    @staticmethod
    def sign(a):
        return (a > 0).astype(a.dtype) - (a < 0).astype(a.dtype)

    # Functions of one float

    @staticmethod
    def erf(a):
        return np.asarray(_erf(a) if a.size else a, dtype=a.dtype)

    @staticmethod
    def erfc(a):
        return np.asarray(_erfc(a) if a.size else a, dtype=a.dtype)

    @staticmethod
    def sigmoid(a):
        one = a.dtype.type(1)
        return one / (one + np.exp(-a))

    @staticmethod
    def round_f16(a):
        return a.astype(np.float16).astype(np.float32)

    @staticmethod
    def round_bf16(a):
        return widen_bf16(narrow_bf16(a))

    # Bits

    @staticmethod
    def shift_left(a, b):
        valid = (b >= 0) & (b < a.dtype.itemsize * 8)
        return np.where(valid, a << np.where(valid, b, 0).astype(b.dtype), a * 0)

    @staticmethod
    def shift_right(a, b):
        last = a.dtype.itemsize * 8 - 1
        valid = (b >= 0) & (b <= last)
        full = a >> a.dtype.type(last) if a.dtype.kind == "i" else a * 0
        return np.where(valid, a >> np.where(valid, b, 0).astype(b.dtype), full)

    # Reductions over axes, kept with length 1. float32 sums and products go through float64.

    @staticmethod
    def sum(a, axes):
        return _wide(a).sum(axis=axes, keepdims=True, dtype=_wide(a).dtype).astype(a.dtype)

    @staticmethod
    def prod(a, axes):
        return _wide(a).prod(axis=axes, keepdims=True, dtype=_wide(a).dtype).astype(a.dtype)

    @staticmethod
    def amax(a, axes):
        return np.max(a, axis=axes, keepdims=True, initial=lowest(a.dtype))

    @staticmethod
    def amin(a, axes):
        return np.min(a, axis=axes, keepdims=True, initial=highest(a.dtype))

    def argmax(self, a, b, axes):
        return _first_index(a, b, axes, self.amax(a, axes))

    def argmin(self, a, b, axes):
        return _first_index(a, b, axes, self.amin(a, axes))

    # Scans along an axis. Those of float32 that round go through float64.

    @staticmethod
    def cumsum(a, axis):
        return _scan(np.add, _wide(a), axis, 0).astype(a.dtype)

    @staticmethod
    def cumprod(a, axis):
        return _scan(np.multiply, _wide(a), axis, 1).astype(a.dtype)

    def cummax(self, a, axis):
        return _scan(self.maximum, a, axis, lowest(a.dtype))

    def cummin(self, a, axis):
        return _scan(self.minimum, a, axis, highest(a.dtype))

    @staticmethod
    def logcumsumexp(a, axis):
        return _scan(np.logaddexp, _wide(a), axis, -np.inf).astype(a.dtype)


def _scan(f, a, axis, neutral):
    """At each position what f makes of its own value at the one before, and the element."""
    out, before = np.empty(a.shape, a.dtype), a.dtype.type(neutral)
    elements, results = np.moveaxis(a, axis, 0), np.moveaxis(out, axis, 0)
    for k in range(len(elements)):
        before = results[k] = f(before, elements[k])
    return out


def _fma_of_numbers(a, b, c, t):
    """a * b + c rounded once to type t, through exact rational arithmetic."""
    if not np.isfinite(a * 0 + b * 0 + c * 0):
        return c if np.isfinite(a) and np.isfinite(b) else a * b + c
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    return _nearest(exact, t) if exact else a * b + c  # which has the sign of the zero


def _nearest(exact, t):
    """The number of type t nearest to a fraction: what its double rounds to, or a neighbour."""
    try:
        guess = t(float(exact))
    except OverflowError:
        return t(np.inf if exact > 0 else -np.inf)
    around = (guess, np.nextafter(guess, -t(np.inf)), np.nextafter(guess, t(np.inf)))
    if not np.all(np.isfinite(around)):
        return guess
    even = {np.float32: np.uint32, np.float64: np.uint64}[t]
    return min(around, key=lambda v: (abs(Fraction(float(v)) - exact), v.view(even) & 1))


def _wide(a):
    return a.astype(np.float64) if a.dtype == np.float32 else a


def _first_index(a, index, axes, best):
    hit = (a == best) | (np.isnan(a) if a.dtype.kind == "f" else False)
    none = np.iinfo(np.int64).max
    return np.min(np.where(hit, index, none), axis=axes, keepdims=True, initial=none)


def lowest(dtype):
    """The neutral element of a maximum."""
    if dtype.kind == "f":
        return dtype.type(-np.inf)
    return dtype.type(False) if dtype.kind == "b" else np.iinfo(dtype).min


def highest(dtype):
    """The neutral element of a minimum."""
    if dtype.kind == "f":
        return dtype.type(np.inf)
    return dtype.type(True) if dtype.kind == "b" else np.iinfo(dtype).max


def widen_bf16(bits):
    """float32 of bfloat16 bits (uint16)."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def narrow_bf16(a):
    """bfloat16 bits (uint16) of float32, rounded to nearest even; NaN stays NaN."""
    bits = np.asarray(a, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)
    quiet = ((bits >> np.uint32(16)) | np.uint32(0x40)).astype(np.uint16)
    return np.where(np.isnan(a), quiet, rounded)
