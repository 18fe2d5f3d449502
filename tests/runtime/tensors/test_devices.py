"""Memory for results and the stream of a launch, by the device that tensors live on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.runtime.tensors.devices import allocator, current_stream, scratch

DEVICES = ["cpu", "meta", pytest.param("cuda", marks=pytest.mark.gpu)]
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize(
    ("size", "stride"), [((), ()), ((0, 3), (3, 1)), ((2, 3), (1, 2)), ((5, 7), (8, 1))]
)
def test_results_are_of_the_layout_asked_for(where, size, stride):
    made = allocator(torch.device(where))(size, stride, torch.float16)
    assert made.device.type == where
    assert (tuple(made.shape), made.stride(), made.dtype) == (size, stride, torch.float16)


@pytest.mark.parametrize("where", DEVICES)
def test_scratch_is_so_many_bytes(where):
    for nbytes in (0, 1, 12345):
        made = scratch(torch.device(where))(nbytes)
        assert (made.nbytes, made.dtype, made.device.type) == (nbytes, torch.uint8, where)


@pytest.mark.parametrize("where", ["cpu", "meta"])
def test_a_device_without_streams_has_number_zero(where):
    assert current_stream(torch.device(where))(0) == 0


@pytest.mark.gpu
def test_the_stream_is_torchs_current_one():
    ask, stream = current_stream(torch.device("cuda")), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        assert ask(stream.device_index) == stream.cuda_stream
    assert ask(0) == torch.cuda.current_stream(0).cuda_stream
