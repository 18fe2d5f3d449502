"""Integer arithmetic equals eager torch, wrapping and all; division by zero raises a flag."""

import numpy as np
import pytest

from tests.kernel.interpreter.cpp.math_loops import call, call_checked

pytestmark = pytest.mark.checkout
TYPES = {"i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8}
DIVISIONS = ["trunc_div", "floor_div", "fmod", "remainder"]


def operands(dtype) -> list[np.ndarray]:
    """All pairs of int8 or uint8; for wider types random ones and all pairs of edges."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if dtype().itemsize == 1:
        values = np.arange(low, high + 1)
        return [v.ravel().astype(dtype) for v in np.meshgrid(values, values)]
    random = np.random.default_rng(2)
    edges = [low, low + 1, low // 2, -65, -3, -2, -1, 0, 1, 2, 3, 7, 31, 32, 33, 64, high // 2]
    edges = np.array([*edges, high - 1, high], dtype)
    grid = np.array(np.meshgrid(edges, edges), dtype).reshape(2, -1)
    wide = random.integers(low, high, (2, 20_000), dtype, endpoint=True)
    mixed = np.stack([wide[0], random.integers(-100, 100, 20_000).astype(dtype)])
    return list(np.concatenate([grid, wide, mixed], axis=1))


def exact_division(name, a, b):
    """Python's own integers, wrapped to the type of `a`."""
    bits = a.dtype.itemsize * 8
    results = []
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        answer = {
            "trunc_div": quotient,
            "floor_div": x // y,
            "fmod": x - y * quotient,
            "remainder": x % y,
        }
        results.append(answer[name] & (2**bits - 1))
    return np.array(results, f"u{bits // 8}").view(a.dtype)


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", DIVISIONS)
def test_division(name, suffix, loops):
    a, b = operands(TYPES[suffix])
    result, error = call_checked(loops, f"{name}_{suffix}", a, b)
    assert error == 1
    assert not result[b == 0].any()
    a, b, result = (x[b != 0] for x in (a, b, result))
    np.testing.assert_array_equal(result, exact_division(name, a, b))
    assert call_checked(loops, f"{name}_{suffix}", a, b)[1] == 0


@pytest.mark.parametrize("name", DIVISIONS)
def test_division_of_short_integers_by_doubles(name, loops):
    a, b = operands(np.int64)
    longest = 2**51
    edges = np.array([-longest, 1 - longest, -1, 1, longest // 3, longest - 1])
    shorts = np.random.default_rng(5).integers(-longest, longest, (2, 20_000))
    shorts[1] >>= np.random.default_rng(6).integers(0, 50, 20_000)
    near = shorts[0] // (shorts[1] | 1) * (shorts[1] | 1)  # dividends with no rest, or all but one
    pairs = [shorts, np.stack([near - 1, shorts[1] | 1]), np.stack([near, shorts[1] | 1])]
    pairs += [np.array(np.meshgrid(edges, edges)).reshape(2, -1), np.stack([a, b])]
    a, b = np.concatenate(pairs, axis=1)
    short = (a >= -longest) & (a < longest) & (b >= -longest) & (b < longest)
    a, b = a[short], b[short]
    result, error = call_checked(loops, f"{name}_short_i64", a, b)
    assert error == 1
    assert not result[b == 0].any()
    a, b, result = (x[b != 0] for x in (a, b, result))
    np.testing.assert_array_equal(result, exact_division(name, a, b))


TORCH = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "ipow": "pow",
    "shl": "bitwise_left_shift",
    "shr": "bitwise_right_shift",
}


@pytest.mark.torch
@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", TORCH)
def test_equals_eager_torch(name, suffix, loops):
    torch = pytest.importorskip("torch")
    a, b = operands(TYPES[suffix])
    expected = getattr(torch, TORCH[name])(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_array_equal(call(loops, f"{name}_{suffix}", a, b), expected)


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", ["neg", "abs", "sign"])
def test_unary(name, suffix, loops):
    a = np.unique(operands(TYPES[suffix])[0])
    with np.errstate(all="ignore"):
        expected = {"neg": np.negative, "abs": np.abs, "sign": np.sign}[name](a)
    np.testing.assert_array_equal(call(loops, f"{name}_{suffix}", a), expected)
