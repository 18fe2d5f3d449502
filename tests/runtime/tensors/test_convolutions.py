"""Convolutions that a plan computes itself: eager's results and strides, and none of ATen's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

import gint.conductor  # noqa: F401
from gint.runtime.tensors.convolutions import convolving, is_own_convolution

pytestmark = [pytest.mark.torch, pytest.mark.cpp]


class Net(nn.Module):
    def __init__(self, given: int, made: int, kernel, groups: int = 1, **how) -> None:
        super().__init__()
        self.first = nn.Conv2d(given, given, 1)
        self.second = nn.Conv2d(given, made, kernel, groups=groups, **how)

    def forward(self, x):
        return self.second(self.first(x).relu())


def compiled(net, **how):
    torch._dynamo.reset()
    return torch.compile(net, backend="gint", **how)


def assert_as_exact_as_eager(net, found, x):
    wanted = net(x)
    exact = net.double()(x.double())
    net.float()
    assert found.stride() == wanted.stride()
    # Sums in another order: as far from the exact result as eager is, or the rounding of a sum.
    most = max((wanted - exact).abs().max(), 2e-6 * exact.abs().max())
    assert (found - exact).abs().max() <= 2 * most


def operators_of(call) -> set[str]:
    with torch.profiler.profile() as seen:
        call()
    return {e.key for e in seen.key_averages()}


NETS = [
    # given, made, kernel, groups, other numbers; height, width
    (16, 16, 1, 1, {}, (1, 1)),
    (17, 37, 3, 1, {"padding": 1, "bias": False}, (5, 7)),
    (96, 48, 3, 3, {"padding": 1, "stride": 2}, (9, 4)),
    (130, 70, (5, 3), 1, {"padding": 2, "dilation": 2}, (11, 13)),
    (530, 65, 3, 1, {"padding": 1}, (3, 3)),
    (64, 64, (1, 7), 2, {"stride": (2, 3)}, (7, 20)),
]


needs_loops = pytest.mark.skipif(
    not is_own_convolution(torch.empty(16, 16, 1, 1)), reason="no loops wide enough on this CPU"
)


@needs_loops
@pytest.mark.parametrize(("given", "made", "kernel", "groups", "how", "size"), NETS)
def test_a_convolution_equals_eagers(given, made, kernel, groups, how, size):
    net = Net(given, made, kernel, groups, **how).eval()
    with torch.no_grad():
        for memory_format in (torch.contiguous_format, torch.channels_last):
            net.to(memory_format=memory_format)
            run, x = compiled(net), torch.randn(2, given, *size)
            assert_as_exact_as_eager(net, run(x), x)
            assert not any("conv" in name for name in operators_of(lambda: run(x)))  # noqa: B023


def test_what_the_loops_do_not_suit_is_atens():
    for net in (Net(16, 16, 3, 16), Net(16, 8, 3), Net(16, 16, 7), Net(8, 16, 1)):
        run, x = compiled(net.eval()), torch.randn(1, net.first.in_channels, 9, 9)
        with torch.no_grad():
            assert_as_exact_as_eager(net, run(x), x)
            assert any("conv" in name for name in operators_of(lambda: run(x)))  # noqa: B023


def test_a_batch_of_any_size():
    net = Net(32, 48, 3, padding=1).eval()
    run = compiled(net, dynamic=True)
    with torch.no_grad():
        for batch, size in ((2, 5), (3, 5), (1, 8), (7, 6)):
            x = torch.randn(batch, 32, size, size + 1)
            assert_as_exact_as_eager(net, run(x), x)
        with pytest.raises(RuntimeError):
            run(torch.randn(2, 31, 5, 6))


def test_what_is_not_finite_stays_where_windows_meet_it():
    net, x = Net(16, 16, 3).eval(), torch.randn(1, 16, 6, 6)
    x[0, 3, 0, 0], x[0, 5, 5, 5] = torch.nan, torch.inf
    with torch.no_grad():
        found, wanted = compiled(net)(x), net(x)
    assert torch.equal(found.isnan(), wanted.isnan())
    assert torch.equal(found.isfinite(), wanted.isfinite())


def test_gradients_are_eagers():
    net, x = Net(32, 64, 3, padding=1), torch.randn(2, 32, 5, 5)
    found = torch.autograd.grad(compiled(net)(x).square().sum(), list(net.parameters()))
    wanted = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.abs().max().item())


@needs_loops
@pytest.mark.parametrize(("channels", "format", "is_own"), [
    (16, torch.channels_last, True), (16, torch.contiguous_format, False),
    (8, torch.channels_last, False),
])  # fmt: skip
@pytest.mark.parametrize("bias", [True, False])
def test_a_saved_function_convolves_like_a_compiled_one(channels, format, is_own, bias):
    asked = []

    def atens(*args):
        asked.append(args)
        return torch.ops.aten.convolution.default(*args)

    convolve = convolving("aten.convolution.default", atens)
    with torch.no_grad():
        conv = nn.Conv2d(channels, 16, 3, bias=bias).to(memory_format=format)
        x = torch.randn(2, channels, 7, 5).to(memory_format=format)
        found = convolve(x, conv.weight.detach(), None if conv.bias is None else conv.bias.detach(),
                         [2, 1], [1, 0], [1, 1], False, [0, 0], 1)  # fmt: skip
        wanted = torch.nn.functional.conv2d(x, conv.weight, conv.bias, (2, 1), (1, 0))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert found.stride() == wanted.stride()
    assert bool(asked) != is_own


def test_no_image_and_other_operators_are_atens():
    assert convolving("aten.mm.default", torch.mm) is torch.mm
    convolve = convolving("aten.convolution.default", torch.ops.aten.convolution.default)
    x, weight = torch.randn(0, 16, 5, 5), torch.randn(16, 16, 3, 3)
    x, weight = (a.to(memory_format=torch.channels_last) for a in (x, weight))
    found = convolve(x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    assert found.shape == (0, 16, 3, 3)
