"""Elementary functions stay within their stated error; float helpers do what torch does."""

import functools
import re

import mpmath
import numpy as np
import pytest

from tests.kernel.interpreter.cpp import math_loops
from tests.kernel.interpreter.cpp.math_loops import (
    FLOAT32,
    FLOAT64,
    Function,
    call,
    exact_of,
    inputs_of,
    measure,
    pairs,
    ulp_error,
)

pytestmark = pytest.mark.checkout
STEP = 9973  # of the 2^32 float32; docs/accuracy.md is measured with 997
ids = [function.name for function in FLOAT32]


@functools.cache
def expected(function: Function) -> tuple[list[np.ndarray], np.ndarray]:
    inputs = inputs_of(function, STEP)
    return inputs, exact_of(function, inputs)


@pytest.mark.parametrize("function", FLOAT32, ids=ids)
def test_error_is_within_the_stated_bound(function, loops):
    error, met = measure(function, loops, *expected(function))
    assert error <= function.bound, f"{error:.3f} ULP: {met}"


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no wider type to compare with")
@pytest.mark.parametrize("function", FLOAT64, ids=lambda function: function.name)
def test_float64_error_is_within_the_stated_bound(function, loops):
    error, met = measure(function, loops, *expected(function))
    assert error <= function.bound, f"{error:.3f} ULP: {met}"


PLAIN = ["expm1", "log1p", "asinh", "acosh", "atanh", "erf", "erfc"]
PLAIN += [
    "exp",
    "log",
    "log10",
    "sinh",
    "cosh",
    "tanh",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
]


@pytest.mark.parametrize("name", PLAIN)
def test_the_reference_itself_is_right(name):
    """float64 references against 40 digits: their error is nothing next to a float32 ULP."""
    function = next(f for f in FLOAT32 if f.name == name)
    (inputs,), exact = expected(function)
    sample = np.random.default_rng(0).choice(np.flatnonzero(np.isfinite(exact)), 200)
    with mpmath.workdps(40):
        for i in sample:
            wide = getattr(mpmath, name)(mpmath.mpf(float(inputs[i])))
            assert abs(exact[i] - wide) <= 1e-14 * abs(wide) + mpmath.mpf("1e-300")


def test_ulp_error_counts_as_it_says():
    one, step = np.float32([1]), np.spacing(np.float32(1))
    assert ulp_error(one + step, np.array([1.0])) == 1
    assert ulp_error(one, np.array([1 + float(step) / 4])) == 0.25
    assert ulp_error(np.float32([0.0]), np.array([-0.0])) == np.inf
    assert ulp_error(np.float32([np.nan]), np.array([1.0])) == np.inf
    assert ulp_error(np.float32([3e-45]), np.array([1.4e-45])) == pytest.approx(1, abs=0.2)


HELPERS = ["maximum", "minimum", "fmax", "fmin", "fmod", "remainder", "floor_div", "trunc_div"]


def torch_result(torch, name, a, b):
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    if name.endswith("_div"):
        return torch.div(a, b, rounding_mode=name.removesuffix("_div")).numpy()
    return getattr(torch, name)(a, b).numpy()


def assert_same(result, expected, *inputs):
    """Same values and, except for the results of equal zeros, same signs of zero."""
    wrong = ~((result == expected) | (np.isnan(result) & np.isnan(expected)))
    wrong |= (result == 0) & (np.signbit(result) != np.signbit(expected)) & (inputs[0] != inputs[1])
    at = np.flatnonzero(wrong)[:5]
    assert not len(at), [(*(a[i] for a in inputs), result[i], expected[i]) for i in at]


@pytest.mark.torch
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HELPERS)
def test_helpers_equal_eager_torch(name, dtype, loops):
    torch = pytest.importorskip("torch")
    a, b = (x.astype(dtype) for x in pairs(50_000))
    if name in ("fmod", "remainder"):  # torch gives NaN or a wrong rest for large quotients
        with np.errstate(all="ignore"):
            sound = ~((np.abs(a / b) > 2.0**20) & np.isfinite(a) & (b != 0))
        a, b = a[sound], b[sound]
    result = call(loops, f"{name}_f{dtype().itemsize * 8}", a, b)
    assert_same(result, torch_result(torch, name, a, b), a, b)


def test_fmod_is_exact(loops):
    a, b = pairs(50_000)
    with np.errstate(invalid="ignore"):
        assert_same(call(loops, "fmod_f32", a, b), np.fmod(a, b), a, b)


def close_quotients(dtype) -> list[np.ndarray]:
    """Dividends at and beside whole multiples of the divisor, beside the pairs of all kinds."""
    random = np.random.default_rng(4)
    b = random.normal(0, 8, 20_000).astype(dtype)
    a = b * np.trunc(np.exp2(random.uniform(0, 24, len(b))) * random.choice([-1, 1], len(b)))
    a = a.astype(dtype)
    beside = [a, np.nextafter(a, dtype(np.inf)), np.nextafter(a, dtype(-np.inf))]
    kinds = pairs(50_000)
    return [
        np.concatenate([kinds[0].astype(dtype), *beside]),
        np.concatenate([kinds[1].astype(dtype), b, b, b]),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_div"])
def test_fast_division_is_exact_where_it_is_allowed(name, dtype, loops):
    a, b = close_quotients(dtype)
    bits = 8 * dtype().itemsize
    near = call(loops, f"fmod_f{bits}_is_far", a, b) == 0
    a, b = a[near], b[near]
    slow, fast = (call(loops, f"{name}_f{bits}{form}", a, b) for form in ("", "_fast"))
    assert_same(fast, slow, a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fast_division_is_allowed_for_ordinary_quotients(dtype, loops):
    fuses = call(loops, "fmod_f64_is_far", np.ones(1), np.ones(1))[0] == 0
    if dtype == np.float64 and not fuses:
        pytest.skip("without a fused multiply-add the C library divides float64")
    a, b = dtype([3, -7.5, 1e6, 0.0, np.nan, np.inf, 1, 1]), dtype([2, 0.1, 3, 5, 1, 1, 0, np.inf])
    assert not call(loops, f"fmod_f{8 * dtype().itemsize}_is_far", a, b).any()


def test_round_goes_to_even_and_sign_of_nan_is_zero(loops):
    x = np.float32([0.5, 1.5, 2.5, -0.5, -1.5, np.inf, 1e30])
    np.testing.assert_array_equal(call(loops, "round_f32", x), np.rint(x))
    x = np.float32([np.nan, 0, -0.0, 3, -np.inf])
    np.testing.assert_array_equal(call(loops, "sign_f32", x), [0, 0, 0, 1, -1])


SCALAR = ["sin_f32", "cos_f32", "tan_f32", "fmod_f32", "remainder_f32", "floor_div_f32"]
SCALAR += ["fmod_f64", "remainder_f64", "floor_div_f64"]
SCALAR += ["sin_f64", "cos_f64", "tan_f64", "atanh_f64", "atan2_f64", "erfc_f64"]
SCALAR += ["fmod_f64_is_far"]  # since its integers become floats here
# Without a fused multiply-add all is far.
SCALAR_V2 = ["fmod_f64_fast", "remainder_f64_fast", "floor_div_f64_fast"]


def test_loops_vectorise(target, built):
    """gcc reports vectorised loops by line; only what calls the C library or a table may lack."""
    if target == "native":
        pytest.skip("what another processor's compiler vectorises is not listed here")
    if not math_loops.is_gcc():
        pytest.skip("only gcc's report is understood")
    report = built.with_name(math_loops.REPORT).read_text()
    vectorised = {int(line) for line in re.findall(r"math_loops\.cpp:(\d+):.*loop vect", report)}
    scalar = SCALAR + (SCALAR_V2 if target == "v2" else [])
    for number, line in enumerate(math_loops.SOURCE.read_text().splitlines(), 1):
        loop = re.match(r"(?:UNARY|BINARY|CONVERT)\((\w+),", line)
        if loop and loop[1] not in scalar:
            assert number in vectorised, loop[1]
