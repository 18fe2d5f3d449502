"""Pooling: windows that overlap, leave the source and are dilated, in both memory formats."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ..comparing import Call, Traced, assert_same, check

pytestmark = pytest.mark.torch
F = torch.nn.functional
DTYPES = (torch.float32, torch.bfloat16, torch.float64, torch.int64)


def _image(shape, dtype, channels_last=False, seed=0):
    """Few numbers, so that many are equal; NaN, -inf and both zeros among them."""
    choice = torch.Generator().manual_seed(seed)
    numbers = [-2.0, -0.0, 0.0, 1.0, 3.0]
    if dtype.is_floating_point:
        numbers += [-math.inf] * 3 + [math.nan]
    x = torch.tensor(numbers)[torch.randint(0, len(numbers), shape, generator=choice)].to(dtype)
    is_image = channels_last and len(shape) == 4
    return x.contiguous(memory_format=torch.channels_last) if is_image else x


def _check(function, x, backends, left=False, **tolerance):
    """Equal to eager, and one program; or ATen's operator where it is left whole."""
    call = Call.of(function, x)
    traced = Traced(call)
    graph = traced.compile(backends[0])
    assert bool(graph.record.externs) == left
    assert not graph.record.fallbacks
    if left:
        assert_same(traced.run(graph), call.eager(), **tolerance)
    else:
        check(call, backends, **tolerance)


@st.composite
def poolings(draw):
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return {
        "kernel_size": kernel,
        "stride": (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }


sources = st.tuples(
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(7, 20), st.integers(7, 40)),
    st.sampled_from(DTYPES), st.booleans(), st.integers(0, 99),
)  # fmt: skip


@given(poolings(), sources, st.integers(1, 2), st.booleans())
def test_the_largest_and_where_it_lies(interpreters, pooling, source, dilation, indices):
    x = _image(*source)
    _check(
        lambda x: F.max_pool2d(x, **pooling, dilation=dilation, return_indices=indices),
        x, interpreters, left=indices and source[2] and x.shape[1] > 1, units=0.0,
    )  # fmt: skip


@given(poolings(), sources, st.booleans(), st.sampled_from((None, None, 3, -7)))
def test_averages(interpreters, pooling, source, counts_padding, divisor):
    x = _image(*source)
    _check(
        lambda x: F.avg_pool2d(
            x, **pooling, count_include_pad=counts_padding, divisor_override=divisor
        ),
        x, interpreters, units=0.0,
    )  # fmt: skip


CALLS = {
    "max of lines": lambda x: F.max_pool1d(x[0], 3, 2, 1),
    "max of volumes": lambda x: F.max_pool3d(x[:, None], (2, 3, 2), (1, 2, 2), 1),
    "of volumes, where": lambda x: F.max_pool3d(x[:, None], 2, return_indices=True),
    "average of lines": lambda x: F.avg_pool1d(x[0], 4, 3, 2, count_include_pad=False),
    "average of volumes": lambda x: F.avg_pool3d(x[:, None], (2, 3, 2), (1, 2, 2), 1),
    "columns": lambda x: F.unfold(x, (2, 3), 1, 1, 2),
    "columns without padding": lambda x: F.unfold(x * 2, 3, 2, 0, (1, 3)) + 1,
    "no batch": lambda x: F.max_pool2d(x[0], 2),
    "powers": lambda x: F.lp_pool2d(x.abs(), 2, 3),
    "of what is computed": lambda x: F.avg_pool2d((x * 2).relu(), 2) + 1,
    "then a view": lambda x: F.max_pool2d(x, 2)[:, 1:].transpose(1, 2) * 2,
    "of a view": lambda x: F.max_pool2d(x.transpose(2, 3)[:, :, 1:], 3, 1, 1),
    "then reduced": lambda x: F.avg_pool2d(x, 3, 1, 1).square().sum((2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_other_windows(name, dtype, interpreters):
    if name == "average of volumes" and dtype is torch.bfloat16:
        pytest.skip("eager has none")
    x = torch.randn(2, 3, 9, 14).to(dtype)
    _check(CALLS[name], x, interpreters)


def test_overlapping_windows_of_what_is_computed_are_read_from_memory():
    call = Call.of(lambda x: F.max_pool2d((x + 1).relu(), 3, 2, 1), torch.randn(2, 3, 9, 14))
    check(call, ("cpp",))
    assert Traced(call).compile("cpp").record.programs == 2
    call = Call.of(lambda x: F.max_pool2d((x + 1).relu(), 2), torch.randn(2, 3, 8, 14))
    assert Traced(call).compile("cpp").record.programs == 1


def test_large_windows_and_no_images_stay_whole():
    x = torch.randn(1, 2, 20, 20)
    call = Call.of(lambda x: F.avg_pool2d(x, 15, 5, 1), x)
    graph = Traced(call).compile("cpp")
    assert graph.record.externs == {"aten.avg_pool2d": 1}
    check(Call.of(lambda x: F.max_pool2d(x, 2), x[:0]), ("cpp",))


@pytest.mark.parametrize("function", [
    lambda x: F.max_pool2d(x, 3, 2, 1),
    lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    lambda x: F.max_pool1d(x[0], 2).relu(),
], ids=range(3))  # fmt: skip
def test_gradients_and_changing_sizes(function):
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="gint", dynamic=True)
    for height, width in ((9, 5), (8, 6), (12, 7)):
        x = torch.randn(2, 3, height, width, requires_grad=True)
        results = []
        for f in (function, compiled):
            x.grad = None
            y = f(x)
            (y * y).sum().backward()
            results.append((y.detach(), x.grad))
        torch.testing.assert_close(*results)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_channels_that_are_a_part_of_a_register(dtype):
    """In channels-last memory; odd sizes, so that lines are left over where two are taken."""
    for channels in (2, 3, 4, 5, 8, 9, 12, 16, 17, 24):
        x = _image((2, channels, 9, 12), dtype, channels_last=True)
        _check(lambda x: F.max_pool2d(x, 3, 2, 1), x, ["cpp"])
        _check(lambda x: F.max_pool2d(x, 2, 1, 0), x, ["cpp"])
        finite = x.nan_to_num(0.5, 2.0, -2.0)
        _check(lambda x: F.avg_pool2d(x, 3, 1, 1) * 2, finite, ["cpp"], scale=4.0)
        _check(lambda x: F.pad(x, (1, 2, 0, 1), value=3), x, ["cpp"])
        _check(lambda x: F.pad(x, (-1, 2, 3, -2)) + 1, x, ["cpp"])
        check(Call.of(lambda x: x.contiguous() * 2, x), ["cpp"])
        check(Call.of(lambda x: x[:, ::2, 1:].contiguous(), x), ["cpp"])
        check(Call.of(_to_channels_last, x.contiguous()), ["cpp"])


def _to_channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)
