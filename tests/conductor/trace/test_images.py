"""Pooling and resizing by whole factors: as eager, in eager's memory format, and as programs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ..comparing import Call, Traced, assert_same

pytestmark = pytest.mark.torch
aten = torch.ops.aten
F = torch.nn.functional
DTYPES = (torch.float32, torch.bfloat16, torch.float64)
LAST = torch.channels_last


def _image(shape, dtype, channels_last):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    return x.contiguous(memory_format=LAST) if channels_last else x


def check(function, *inputs, programs: bool):
    """Equal to eager in values and strides; one program, or ATen's operator."""
    call = Call.of(function, *inputs)
    traced = Traced(call)
    graph = traced.compile("cpp")
    assert (graph.record.programs, bool(graph.record.externs)) == (int(programs), not programs)
    found, expected = traced.run(graph), call.eager()
    exact = call.converted(torch.float64).eager()
    assert_same(found, expected, exact=exact, scale=1.0)
    assert found.stride() == expected.stride()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("size", "programs"),
    [
        ([6, 4], (True, True)), ([12, 8], (True, True)), ([12, 4], (True, True)),
        ([1, 2], (True, False)),  # windows of 48: a mean, where lines go on
        ([5, 4], (False, False)), ([24, 8], (False, False)),
    ],
)  # fmt: skip
def test_adaptive_pooling(size, programs, channels_last, dtype):
    x = _image((2, 3, 12, 8), dtype, channels_last)
    check(lambda x: aten._adaptive_avg_pool2d(x, size), x, programs=programs[channels_last])


@pytest.mark.parametrize("shape", [(3, 12, 8), (0, 3, 4, 4), (1, 5, 7, 7)], ids=str)
def test_adaptive_pooling_of_other_shapes(shape):
    size = list(shape[-2:])
    x = _image(shape, torch.float32, False)
    check(lambda x: aten._adaptive_avg_pool2d(x, size), x, programs=0 not in shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("options", "programs"),
    [
        ({"scale_factor": 2.0}, True), ({"size": (20, 7)}, True), ({"scale_factor": 4.0}, True),
        ({"scale_factor": 3.0}, False), ({"scale_factor": 1.5}, False), ({"size": (4, 7)}, False),
    ],
    ids=str,
)  # fmt: skip
def test_nearest(options, programs, dtype):
    for channels in (1, 3, 8):
        for channels_last in (True, False):
            x = _image((2, channels, 5, 7), dtype, channels_last)
            check(lambda x: F.interpolate(x, **options), x, programs=programs)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_gradients_of_averages(divisor, channels_last, dtype):
    x = _image((2, 5, 6, 9), dtype, channels_last)
    for kernel, stride, programs in (
        ([2, 3], [2, 3], True), ([3, 1], [], True), ([2, 2], [2, 2], False),
        ([2, 3], [1, 3], False),
    ):  # fmt: skip
        of = F.avg_pool2d(x, kernel, stride or None)
        grad = _image(tuple(of.shape), dtype, channels_last)
        args = (kernel, stride, [0, 0], False, True, divisor)
        check(lambda g, x, a=args: aten.avg_pool2d_backward(g, x, *a), grad, x, programs=programs)


def test_taking():
    index = torch.tensor([[0, -1, 5], [59, -60, 3]])
    for x in (torch.randn(3, 4, 5), torch.arange(60)):
        check(torch.take, x, index, programs=True)
    traced = Traced(Call.of(torch.take, torch.randn(7), index))
    graph = traced.compile("cpp")
    with pytest.raises(IndexError):
        traced.run(graph)
