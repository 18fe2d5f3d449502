"""Derive the polynomial coefficients of `gint/kernel/interpreter/portable/math_*.h`.

Weighted minimax fits: by Remez exchange in 50-digit arithmetic for float64, by Lawson's reweighted
least squares for float32, whose coefficients are rounded one after the other, lowest power first,
the others being fitted again after each rounding, so that the last ones absorb what rounding the
first ones cost. Knows functions, intervals and weights; knows nothing of the code that evaluates
them.

    python tools/fit_polynomials.py [NAME ...]     prints each table and its largest weighted error
"""

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.dps = 50
GRID = 400


@dataclass(frozen=True)
class Fit:
    """`weight(x) * (target(x) - sum c[k] * x ** (step * k))` is made smallest on [low, high]."""

    target: Callable
    weight: Callable
    low: object
    high: object
    count: int
    step: int = 1
    bits: int = 32


def rounded(value, bits: int):
    """The nearest float32 or float64, as an mpf."""
    wide = float(value)
    return mpf(wide if bits == 64 else struct.unpack("f", struct.pack("f", wide))[0])


def nodes(low, high):
    middle, half = (mpf(low) + high) / 2, (mpf(high) - low) / 2
    return [middle + half * mp.cos(mp.pi * (k + mpf(1) / 2) / GRID) for k in range(GRID)][::-1]


def extrema(errors: list, count: int) -> list[int]:
    """Indices of `count` alternating extrema: the largest of each run of one sign."""
    best, run = [], [0]
    for i in range(1, len(errors)):
        if (errors[i] > 0) != (errors[run[-1]] > 0):
            best.append(max(run, key=lambda j: abs(errors[j])))
            run = []
        run.append(i)
    best.append(max(run, key=lambda j: abs(errors[j])))
    while len(best) > count:
        weakest = min(range(len(best)), key=lambda k: abs(errors[best[k]]))
        if weakest in (0, len(best) - 1):
            best.pop(weakest)
        elif len(best) == count + 1:
            best.pop(0 if abs(errors[best[0]]) < abs(errors[best[-1]]) else -1)
        else:  # an inner one goes with a neighbour, so that signs still alternate
            pair = min(
                weakest - 1, weakest, key=lambda k: abs(errors[best[k]]) + abs(errors[best[k + 1]])
            )
            del best[pair : pair + 2]
    return best


def polynomial(x, coefficients: list, step: int):
    return sum(c * x ** (step * k) for k, c in enumerate(coefficients))


def remez(xs: list, values: list, weights: list, step: int, n: int) -> list:
    """The n coefficients of powers 0, step, 2 step ... whose largest weighted error is smallest."""
    picked = [round((len(xs) - 1) * (1 - mp.cos(mp.pi * k / n)) / 2) for k in range(n + 1)]
    best, best_error = [], mp.inf
    for _ in range(40):
        rows = [
            [xs[i] ** (step * p) for p in range(n)] + [(-1) ** k / weights[i]]
            for k, i in enumerate(picked)
        ]
        solved = list(mp.lu_solve(mp.matrix(rows), mp.matrix([values[i] for i in picked])))
        errors = residual(xs, values, weights, solved[:n], step)
        largest = max(map(abs, errors))
        if largest < best_error:
            best, best_error = solved[:n], largest
        found = extrema(errors, n + 1)
        if len(found) <= n or largest <= abs(solved[n]) * mpf("1.001"):
            break
        picked = found
    return best


def residual(xs: list, values: list, weights: list, coefficients: list, step: int) -> list:
    return [
        w * (v - polynomial(x, coefficients, step))
        for x, v, w in zip(xs, values, weights, strict=True)
    ]


def lawson(xs: list, values: list, weights: list, step: int, first: int, n: int) -> list:
    """As `remez`, for powers step * first ...; slower, but sound where weights vanish inside."""
    x, y, w = (np.array([float(v) for v in column]) for column in (xs, values, weights))
    scale = np.abs(x).max()
    basis = (x[:, None] / scale) ** (step * np.arange(first, first + n))
    density, best, best_error = np.ones_like(x), None, np.inf
    for _ in range(300):
        root = np.sqrt(density) * w
        solved = np.linalg.lstsq(basis * root[:, None], y * root, rcond=None)[0]
        errors = np.abs(w * (y - basis @ solved))
        if errors.max() < best_error:
            best, best_error = solved, errors.max()
        density *= errors / errors.max() + 1e-3
        density /= density.max()
    return list(best / scale ** (step * np.arange(first, first + n)))


def solve(fit: Fit) -> tuple[list, object]:
    """The rounded coefficients and the largest weighted error they leave."""
    xs = nodes(fit.low, fit.high)
    values, weights = [fit.target(x) for x in xs], [fit.weight(x) for x in xs]
    if fit.bits == 64:
        done = [rounded(c, 64) for c in remez(xs, values, weights, fit.step, fit.count)]
    else:
        done = []
        for k in range(fit.count):
            rest = [v - polynomial(x, done, fit.step) for x, v in zip(xs, values, strict=True)]
            done.append(rounded(lawson(xs, rest, weights, fit.step, k, fit.count - k)[0], 32))
    return done, max(map(abs, residual(xs, values, weights, done, fit.step)))


LN2 = mp.log(2)
HALF_LN2 = LN2 / 2 * mpf("1.01")
OCTAVE = (mp.sqrt(mpf(1) / 2) - 1, mp.sqrt(2) - 1)
ERFC_SHIFT = mpf(2)


def erfc_scaled(t):
    """(1 + 2x) exp(x^2) erfc(x), of t = (x - 2) / (x + 2) (Shepherd and Laframboise, 1981)."""
    x = ERFC_SHIFT * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def erf_slope(z):
    """erf(x) / x, of z = x^2."""
    return mp.erf(mp.sqrt(z)) / mp.sqrt(z)


FITS = {
    # exp(r) = 1 + r + r^2 q(r)
    "EXP": Fit(
        lambda r: (mp.expm1(r) - r) / r**2,
        lambda r: r**2 / abs(mp.expm1(r)),
        -HALF_LN2,
        HALF_LN2,
        5,
    ),
    # 2^r = 1 + r q(r)
    "EXP2": Fit(lambda r: (2**r - 1) / r, lambda r: abs(r) / 2**r, mpf("-0.501"), mpf("0.501"), 6),
    # log(1 + f) = f - f^2/2 + f^3 q(f)
    "LOG": Fit(
        lambda f: (mp.log1p(f) - f + f * f / 2) / f**3,
        lambda f: abs(f**3 / mp.log1p(f)),
        *OCTAVE,
        9,
    ),
    # sin(r) = r + r^3 q(r^2), cos(r) = 1 - r^2/2 + r^4 q(r^2), tan(r) = r + r^3 q(r^2)
    "SIN": Fit(
        lambda r: (mp.sin(r) - r) / r**3,
        lambda r: r**3 / mp.sin(r),
        mpf("0.001"),
        mpf("0.86"),
        4,
        2,
    ),
    "COS": Fit(
        lambda r: (mp.cos(r) - 1 + r * r / 2) / r**4,
        lambda r: r**4,
        mpf("0.001"),
        mpf("0.86"),
        4,
        2,
    ),
    "TAN": Fit(
        lambda r: (mp.tan(r) - r) / r**3,
        lambda r: r**3 / mp.tan(r),
        mpf("0.001"),
        mpf("0.82"),
        7,
        2,
    ),
    # asin(x) = x + x^3 q(x^2) up to 1/2, atan(x) = x + x^3 q(x^2) up to 1
    "ASIN": Fit(
        lambda x: (mp.asin(x) - x) / x**3,
        lambda x: x**3 / mp.asin(x),
        mpf("0.001"),
        mpf("0.5"),
        5,
        2,
    ),
    "ATAN": Fit(
        lambda x: (mp.atan(x) - x) / x**3, lambda x: x**3 / mp.atan(x), mpf("0.001"), mpf(1), 9, 2
    ),
    # sinh(x) = x + x^3 q(x^2)
    "SINH": Fit(
        lambda x: (mp.sinh(x) - x) / x**3, lambda x: x**3 / mp.sinh(x), mpf("0.001"), mpf(1), 4, 2
    ),
    # erf(x) = x + x q(x^2) up to 1; log2(erfc(x)) = x q(x) up to 4, where 1 - 2^(x q) is wanted
    "ERF": Fit(lambda x: mp.erf(x) / x - 1, lambda x: x / mp.erf(x), mpf("0.001"), mpf(1), 7, 2),
    "ERF_LOG": Fit(
        lambda x: mp.log(mp.erfc(x), 2) / x,
        lambda x: LN2 * mp.erfc(x) * x / mp.erf(x),
        mpf("0.0005"),
        mpf("3.95"),
        9,
    ),
    # (1 + 2x) exp(x^2) erfc(x) = q((x - 2) / (x + 2)), x from 0.46 to 10.5
    "ERFC": Fit(erfc_scaled, lambda t: 1 / erfc_scaled(t), mpf("-0.63"), mpf("0.681"), 10),
    # float64: exp(r) = 1 + r + r^2 q(r); log(m) = 2s + s^3 q(s^2), s = (m - 1)/(m + 1)
    "EXP_F64": Fit(
        lambda r: (mp.expm1(r) - r) / r**2, lambda r: mpf(1), -HALF_LN2, HALF_LN2, 10, 1, 64
    ),
    "LOG_F64": Fit(
        lambda s: 2 * (mp.atanh(s) - s) / s**3,
        lambda s: mpf(1),
        mpf("1e-3"),
        mpf("0.17158"),
        7,
        2,
        64,
    ),
    # float64 as the float32 ones above; asin and atan up to 1/2
    "SINH_F64": Fit(
        lambda x: (mp.sinh(x) - x) / x**3,
        lambda x: x**3 / mp.sinh(x),
        mpf("0.001"),
        mpf(1),
        8,
        2,
        64,
    ),
    # sin(r) = r - r^3 q(r^2) up to pi/2
    "SIN_F64": Fit(
        lambda r: (r - mp.sin(r)) / r**3,
        lambda r: r**3 / mp.sin(r),
        mpf("0.001"),
        mp.pi / 2 * mpf("1.0001"),
        8,
        2,
        64,
    ),
    "TAN_F64": Fit(
        lambda r: (mp.tan(r) - r) / r**3,
        lambda r: r**3 / mp.tan(r),
        mpf("0.001"),
        mp.pi / 4 * mpf("1.001"),
        14,
        2,
        64,
    ),
    "ASIN_F64": Fit(
        lambda x: (mp.asin(x) - x) / x**3,
        lambda x: x**3 / mp.asin(x),
        mpf("0.001"),
        mpf("0.5"),
        12,
        2,
        64,
    ),
    "ATAN_F64": Fit(
        lambda x: (mp.atan(x) - x) / x**3,
        lambda x: x**3 / mp.atan(x),
        mpf("0.001"),
        mpf("0.5"),
        12,
        2,
        64,
    ),
    # erf(x) = x + x q(x^2 - 0.5625) up to 1.0625
    "ERF_F64": Fit(
        lambda u: erf_slope(u + 0.5625) - 1,
        lambda u: 1 / erf_slope(u + 0.5625),
        mpf("-0.56249"),
        mpf("0.5665"),
        14,
        1,
        64,
    ),
    # erfc(x) = q(x - 3.0625)^2, x from 1.0625 to 5.95, where 1 - q^2 is wanted
    "ERF_FAR_F64": Fit(
        lambda u: mp.sqrt(mp.erfc(3.0625 + u)),
        lambda u: 2 * mp.sqrt(mp.erfc(3.0625 + u)),
        mpf(-2),
        mpf("2.8875"),
        28,
        1,
        64,
    ),
    # x from 0.44 to 27.3; the first coefficient is followed by what rounding it loses
    "ERFC_F64": Fit(
        erfc_scaled, lambda t: 1 / erfc_scaled(t), mpf("-0.64"), mpf("0.8635"), 24, 1, 64
    ),
    # float64 kernels of pow: log2(m) = s q(s^2), s = (m - 1)/(m + 1); 2^r = q(r)
    "POW_LOG2": Fit(
        lambda s: 2 * mp.atanh(s) / LN2 / s,
        lambda s: LN2 * s / (2 * mp.atanh(s)),
        mpf("1e-4"),
        mpf("0.17158"),
        6,
        2,
        64,
    ),
    # float64: log(m) = s (2 + z (2/3 + z q(z))), z = s^2
    "POW_LOG_F64": Fit(
        lambda s: (2 * (mp.atanh(s) - s) / s**3 - mpf(2) / 3) / s**2,
        lambda s: s**4,
        mpf("0.002"),
        mpf("0.1717"),
        9,
        2,
        64,
    ),
    "POW_EXP2": Fit(lambda r: 2**r, lambda r: 2**-r, mpf("-0.5"), mpf("0.5"), 8, 1, 64),
}


def main(names: list[str]) -> None:
    for name in names or FITS:
        fit = FITS[name]
        coefficients, error = solve(fit)
        print(f"{name}: largest weighted error 2^{float(mpmath.log(error, 2)):.1f}")
        for c in coefficients:
            print(f"    {float(c).hex()}  {mpmath.nstr(c, 17 if fit.bits == 64 else 9)}")


if __name__ == "__main__":
    main(sys.argv[1:])
