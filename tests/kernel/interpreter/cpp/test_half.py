"""float16 and bfloat16 conversions: every half, and float32 at and between the halves."""

import numpy as np
import pytest

from tests.kernel.interpreter.cpp.math_loops import call, every

pytestmark = pytest.mark.checkout
HALVES = np.arange(2**16, dtype=np.uint16)


def assert_same_floats(result, expected):
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    number = ~np.isnan(expected)
    kind = {2: np.uint16, 4: np.uint32}[result.dtype.itemsize]
    np.testing.assert_array_equal(result.view(kind)[number], expected.view(kind)[number])


def floats_between(halves: np.ndarray) -> np.ndarray:
    """float32 values of halves, the midpoints of neighbours, and what lies just beside either."""
    finite = np.sort(halves[np.isfinite(halves)])
    middle = (finite[1:].astype(np.float64) + finite[:-1]) / 2
    values = np.concatenate([finite, middle.astype(np.float32)])
    bits = values.view(np.uint32)[:, None] + np.array([-1, 0, 1]).astype(np.uint32)
    return np.concatenate([bits.ravel().view(np.float32), every(9973)])


@pytest.mark.parametrize("form", ["", "_rows"])
def test_float16_to_float32(form, loops):
    result = call(loops, f"f16_to_f32{form}", HALVES, out=np.float32)
    assert_same_floats(result, HALVES.view(np.float16).astype(np.float32))


@pytest.mark.parametrize("form", ["", "_rows"])
def test_float32_to_float16(form, loops):
    x = floats_between(HALVES.view(np.float16).astype(np.float32))
    result = call(loops, f"f32_to_f16{form}", x, out=np.uint16)
    with np.errstate(over="ignore"):
        assert_same_floats(result.view(np.float16), x.astype(np.float16))


def test_bfloat16_to_float32(loops):
    result = call(loops, "bf16_to_f32", HALVES, out=np.float32)
    assert_same_floats(result, (HALVES.astype(np.uint32) << 16).view(np.float32))


def test_float32_to_bfloat16(loops):
    x = floats_between((HALVES.astype(np.uint32) << 16).view(np.float32))
    result = call(loops, "f32_to_bf16", x, out=np.uint16)
    back = (result.astype(np.uint32) << 16).view(np.float32)
    assert np.isnan(back[np.isnan(x)]).all()
    bits = x[~np.isnan(x)].view(np.uint32).astype(np.uint64)
    nearest = (bits >> 16) + ((bits & 0xFFFF) + ((bits >> 16) & 1) > 0x8000)
    np.testing.assert_array_equal(result[~np.isnan(x)], nearest.astype(np.uint16))
