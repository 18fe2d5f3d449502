"""Products of float32 arrays and convolutions in native code, beside sums in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gint.host.selection import select
from gint.native.loader import load_native
from tests.kernel.interpreter.cpp.instruction_sets import run_on_each

pytestmark = pytest.mark.cpp


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def multiplied(x, w, bias=None, out=None, threads=0):
    out = np.full((*x.shape[:-1], w.shape[-1]), np.nan, np.float32) if out is None else out
    assert load_native().dense_multiply(x, w, bias, out, threads)
    return out


def assert_is_product(found, x, w, bias=0):
    wanted = x.astype(np.float64) @ w + bias
    # Each term is rounded once when it is added: at most depth units of the sum of magnitudes.
    most = np.abs(x).astype(np.float64) @ np.abs(w) + np.abs(bias)
    assert (np.abs(found - wanted) <= (x.shape[-1] + 2) * 2.0**-24 * most).all()


@pytest.mark.parametrize("depth", [1, 3, 64, 131, 1024, 2051])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 16), (6, 64), (7, 65), (97, 130)])
def test_products(rows, columns, depth):
    x, w, bias = normal(rows, depth), normal(depth, columns), normal(columns)
    for given in (w, np.asfortranarray(w)):
        assert_is_product(multiplied(x, given), x, w)
        assert_is_product(multiplied(x, given, bias), x, w, bias)


def test_products_of_nothing():
    assert not multiplied(normal(7, 0), normal(0, 9)).any()
    np.testing.assert_array_equal(multiplied(normal(2, 0), normal(0, 3), normal(3))[1], normal(3))
    for rows, columns in ((0, 4), (4, 0)):
        assert multiplied(normal(rows, 3), normal(3, columns)).size == 0


def test_operands_with_gaps_and_batches():
    x, w = normal(3, 20, 90)[:, :17, 5:75], normal(3, 40, 80)[:, :33, 3:73].swapaxes(1, 2)
    out = np.zeros((17, 3, 40), np.float32)
    assert_is_product(multiplied(x, w, out=out.transpose(1, 0, 2)[..., :33]), x, w)
    assert not out[..., 33:].any()
    shared = np.broadcast_to(normal(70, 33), (3, 70, 33))
    assert_is_product(multiplied(x, shared), x, shared)


def test_a_product_does_not_depend_on_threads():
    x, w = normal(700, 1300), normal(1300, 200)
    one = multiplied(x, w, threads=1)
    np.testing.assert_array_equal(multiplied(x, w, threads=5), one)


def test_what_is_not_finite_stays_in_its_row_and_column():
    x, w = normal(30, 40), normal(40, 20)
    x[3, 7], x[5, 0], w[2, 4] = np.nan, np.inf, -np.inf
    found = multiplied(x, w)
    with np.errstate(invalid="ignore"):
        wanted = x @ w
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(wanted))


def test_other_layouts_are_left():
    multiply, x, w = load_native().dense_multiply, normal(20, 30), normal(30, 40)
    out = np.zeros((20, 40), np.float32)
    for arrays in (
        (x.astype("f8"), w, None, out), (x, w, None, out[:, ::-1]), (x[:, ::-1], w, None, out),
        (np.asfortranarray(x), w, None, out), (x, w[::2], None, out), (x[:19], w, None, out),
        (x, w, normal(39), out), (x, w, None, np.asfortranarray(out)), (out, out[:, :20].T, None,
        out), (x, w, None, np.broadcast_to(np.float32(0), (20, 40))), (x, w[None], None, out[None]),
        (x, w, out[0], out),
    ):  # fmt: skip
        assert not multiply(*arrays)
    out.flags.writeable = False
    assert not multiply(x, w, None, out)
    assert not out.any()
    with pytest.raises(TypeError, match="NumPy arrays"):
        multiply([1], w, None, out)


def windows_of(x, kernel, stride, padding, dilation):
    """(batch, channels, height, width, kernel's height, width) in float64."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *[(p, p) for p in padding]))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def convolved(x, w, bias, stride, padding, dilation, threads=0, groups=1):
    windows = windows_of(x, w.shape[2:], stride, padding, dilation)
    out = np.full((x.shape[0], *windows.shape[2:4], len(w)), np.nan, np.float32)
    out = out.transpose(0, 3, 1, 2)
    run = load_native().dense_convolve
    assert run(x, w, bias, out, stride, padding, dilation, threads)
    pairs = zip(np.split(windows, groups, 1), np.split(w.astype(np.float64), groups), strict=True)
    wanted = [np.einsum("bchwyx,ocyx->bohw", *pair) for pair in pairs]
    wanted = np.concatenate(wanted, 1)
    if bias is not None:
        wanted += bias[:, None, None]
    depth = w[0].size
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=depth**0.5 * 4e-6)
    return out


SHAPES = [
    # batch, channels, height, width, results, kernel
    (1, 1, 1, 1, 1, (1, 1)), (2, 3, 9, 11, 5, (3, 3)), (1, 20, 7, 7, 70, (3, 3)),
    (3, 17, 5, 13, 33, (1, 5)), (1, 130, 6, 6, 64, (4, 3)), (1, 1200, 4, 5, 20, (2, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("batch", "channels", "height", "width", "results", "kernel"), SHAPES)
def test_convolutions(batch, channels, height, width, results, kernel):
    x, w = channels_last(normal(batch, channels, height, width)), normal(results, channels, *kernel)
    for step, dilation in itertools.product((1, 2), (1, 2)):
        padding = [dilation * (k - 1) for k in kernel]
        convolved(x, channels_last(w), normal(results), (step, 1), padding, (dilation, 1))
        convolved(x, w, None, (1, step), (padding[0], 2 * padding[1]), (1, dilation))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 8)])
@pytest.mark.parametrize("groups", [2, 5])
def test_convolutions_in_groups(groups, kernel):
    x, w = channels_last(normal(2, 33 * groups, 6, 9)), normal(groups * 18, 33, *kernel)
    padding, bias, one = [k // 2 for k in kernel], normal(groups * 18), (1, 1)
    both = [convolved(x, k, bias, (2, 1), padding, one, groups=groups)
            for k in (w, channels_last(w))]  # fmt: skip
    if kernel == one:
        np.testing.assert_array_equal(*both)


def test_kernels_of_many_taps_are_left_unless_channels_are_closest():
    x, w = channels_last(normal(1, 3, 8, 8)), normal(2, 3, 3, 11)
    out = channels_last(np.zeros((1, 2, 6, 8), np.float32))
    arguments = None, out, (1, 1), (0, 5), (1, 1)
    assert not load_native().dense_convolve(x, w, *arguments)
    assert load_native().dense_convolve(x, channels_last(w), *arguments)


def test_a_convolution_does_not_depend_on_threads():
    x, w = channels_last(normal(2, 48, 40, 40)), channels_last(normal(96, 48, 3, 3))
    numbers = (1, 1), (1, 1), (1, 1)
    one = convolved(x, w, None, *numbers, threads=1)
    np.testing.assert_array_equal(convolved(x, w, None, *numbers, threads=5), one)


@pytest.mark.parametrize("channels", [1, 8, 16, 37, 64])
@pytest.mark.parametrize(("kernel", "step"), [((1, 1), 1), ((3, 3), 2), ((7, 7), 1), ((1, 4), 3)])
def test_a_kernel_for_each_channel(channels, kernel, step):
    x, w, bias = normal(2, channels, 17, 23), normal(*kernel, channels), normal(channels)
    for dilation in (1, 2):
        wanted = np.einsum(
            "bchwyx,yxc->bchw",
            windows_of(x, kernel, (step, 1), (0, 0), (dilation, 1)), w.astype(np.float64),
        )  # fmt: skip
        out = np.full((2, *wanted.shape[2:], channels), np.nan, np.float32).transpose(0, 3, 1, 2)
        run = load_native().dense_convolve_channels
        assert run(channels_last(x), w, bias, out, (step, 1), (dilation, 1))
        np.testing.assert_allclose(out, wanted + bias[:, None, None], rtol=1e-5, atol=4e-5)


def test_convolutions_of_other_layouts_are_left():
    x, w = channels_last(normal(1, 6, 8, 8)), channels_last(normal(4, 6, 3, 3))
    out = channels_last(np.zeros((1, 4, 6, 6), np.float32))
    one, none, run = (1, 1), (0, 0), load_native().dense_convolve
    for arrays in (
        (np.ascontiguousarray(x), w, None, out), (x, w.transpose(0, 1, 3, 2), None, out),
        (x, w, None, np.ascontiguousarray(out)), (x, w, normal(3), out), (x[:, :5], w, None, out),
        (x, w[:3], None, out), (x.astype("f8"), w, None, out), (out, w[:, :4], None, out),
    ):  # fmt: skip
        assert not run(*arrays, one, none, one)
    for numbers in (((0, 1), none, one), (one, (-1, 0), one), (one, none, (1, 0))):
        assert not run(x, w, None, out, *numbers)
    channels = load_native().dense_convolve_channels
    same = channels_last(np.zeros((1, 6, 7, 6), np.float32))
    assert not channels(x, normal(3, 3, 6), None, same, one, one)  # windows that leave x
    assert not channels(x, normal(3, 3, 5), None, same[:, :, :6], one, one)
    assert not out.any()
    assert not same.any()


def test_the_backend_offers_them_where_they_are_worth_it():
    dense, out = select("cpp").dense, np.empty((64, 64), np.float32)
    assert dense.multiply(normal(64, 5), normal(5, 64), None, out)
    assert not dense.multiply(normal(1, 5), normal(5, 64), None, out[:1])
    assert not dense.multiply(normal(64, 5), normal(5, 2), None, out[:, :2])
    assert select("python").dense is None


@pytest.mark.checkout
def test_every_instruction_set():
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_dense import *\n"
        "for depth in (3, 131, 2051):\n"
        "    test_products(97, 130, depth)\n"
        "for shape in SHAPES[:4]:\n"
        "    test_convolutions(*shape)\n"
        "test_convolutions_in_groups(5, (3, 3))\n"
        "for channels in (1, 37, 64):\n"
        "    test_a_kernel_for_each_channel(channels, (3, 3), 2)"
    )
