"""Convolutions in channels-last memory by the backend: values, and what is left to another way."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.host import selection
from gint.operators import native_convolution
from gint.operators.arrays import empty_in_order
from gint.operators.native_convolution import convolved_by_backend
from gint.operators.windows import Windows
from tests.quantized.matrices import floats

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif("cpp" not in selection.usable(), reason="no native module"),
]
#: batch, channels of a group, groups, results of a group, height, width, kernel, stride, padding,
#: dilation
CASES = {
    "one by one": (2, 17, 1, 33, 5, 7, (1, 1), 1, 0, 1),
    "three by three": (1, 16, 1, 24, 13, 11, (3, 3), 1, 1, 1),
    "few channels": (2, 3, 1, 16, 17, 19, (5, 3), 2, 2, 1),
    "few channels apart": (1, 3, 1, 16, 17, 19, (3, 3), 1, 2, 2),
    "one channel": (3, 1, 1, 7, 9, 9, (3, 3), 1, 0, 1),
    "each channel its own": (2, 1, 23, 1, 11, 13, (3, 3), 2, 1, 1),
    "each channel its own, apart": (1, 1, 16, 1, 11, 13, (3, 2), 1, 2, 2),
}


def windows_of(x, weight, stride, padding, dilation):
    pairs = [[n, n] for n in (stride, padding, dilation)]
    return Windows.over(x.shape[2:], list(weight.shape[2:]), *pairs)


def result_of(x, weight, windows):
    shape = (x.shape[0], weight.shape[0], *windows.counts)
    y = empty_in_order(shape, np.dtype("f4"), (0, 2, 3, 1))
    y[...] = np.nan
    return y


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_values_are_atens(case, biased, last):
    batch, per_group, groups, each, height, width, kernel, *numbers = CASES[case]
    x = floats(batch, per_group * groups, height, width)
    weight, bias = floats(each * groups, per_group, *kernel), floats(each * groups)
    if last:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    windows = windows_of(x, weight, *numbers)
    y = result_of(x, weight, windows)
    assert convolved_by_backend(x, weight, bias if biased else None, windows, y)
    stride, padding, dilation = numbers
    given = [torch.from_numpy(a).double() for a in (x, weight, bias)]
    wanted = torch.conv2d(
        *given[:2], given[2] if biased else None, stride, padding, dilation, groups
    )
    np.testing.assert_allclose(y, wanted.numpy(), rtol=1e-4, atol=1e-4)


def test_what_is_left_is_not_written():
    x, weight = floats(1, 8, 6, 6), floats(4, 8, 3, 3)
    windows = windows_of(x, weight, 1, 0, 1)
    y = result_of(x, weight, windows)
    line = Windows.over([6], [3], [1], [0], [1])
    assert not convolved_by_backend(x[..., 0], weight[..., 0], None, line, y[..., 0])
    doubled = y.astype(np.float64)
    assert not convolved_by_backend(x, weight, None, windows, doubled)
    assert not convolved_by_backend(x[:0], weight, None, windows, y[:0])
    # Two results of each channel are no case of the loops that take a channel at a time.
    many = floats(16, 1, 3, 3)
    assert not convolved_by_backend(x, many, None, windows, result_of(x, many, windows))
    assert np.isnan(y).all()


def test_a_backend_without_loops_leaves_all(monkeypatch):
    monkeypatch.setattr(native_convolution, "active", lambda: selection.select("python"))
    x, weight = floats(1, 8, 6, 6), floats(4, 8, 3, 3)
    windows = windows_of(x, weight, 1, 0, 1)
    assert not convolved_by_backend(x, weight, None, windows, result_of(x, weight, windows))
