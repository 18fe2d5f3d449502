"""Factors and terms per channel in weights: which are folded, and what is left alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn

from gint.conductor import statistics

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


class Follows(nn.Module):
    """A layer, and something after it that has constants of its own."""

    def __init__(self, layer, function, *shape):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.function = layer, function
        self.factor, self.term = (nn.Parameter(torch.randn(shape)) for _ in range(2))
        self.requires_grad_(False)

    def forward(self, x):
        return self.function(self.layer(x), self.factor, self.term)


def programs(layer, function, *shape, size) -> int:
    """How many programs are left; the values are eager's."""
    model, x = Follows(layer, function, *shape), torch.randn(size)
    x = x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
    frozen = torch.compile(model, backend="gint", options={"freeze": True, "check": True})
    torch.testing.assert_close(frozen(x), model(x), rtol=1e-4, atol=1e-4)
    return statistics()[-1].programs


LINEAR = {
    "factor and term": lambda y, f, t: y * f + t,
    "backwards": lambda y, f, t: t - f * y,
    "numbers": lambda y, f, t: (y - 3) / 2,
    "a divisor": lambda y, f, t: y / f,
}


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("bias", [False, True])
def test_what_follows_a_matrix(name, bias):
    assert programs(nn.Linear(8, 6, bias=bias), LINEAR[name], 6, size=(3, 5, 8)) == 0


@pytest.mark.parametrize("name", LINEAR)
def test_what_follows_a_convolution(name):
    conv = nn.Conv2d(4, 6, 3, groups=2)
    assert programs(conv, LINEAR[name], 6, 1, 1, size=(2, 4, 7, 7)) == 0
    assert programs(conv, LINEAR[name], 1, size=(2, 4, 7, 7)) == 0


LEFT = {
    "along another dimension": (lambda y, f, t: y * f, (5, 1)),
    "of every element": (lambda y, f, t: y + t, (3, 5, 6)),
    "what makes it larger": (lambda y, f, t: y + t, (2, 1, 1, 1)),
    "the divisor is computed": (lambda y, f, t: f / y, (6,)),
    "infinite": (lambda y, f, t: y * (f / 0), (6,)),
    "twice the same": (lambda y, f, t: y * y, (6,)),
    "used before": (lambda y, f, t: y * f + y.sum(), (6,)),
    "another type": (lambda y, f, t: y.double() * f, (6,)),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_programs(name):
    function, shape = LEFT[name]
    assert programs(nn.Linear(8, 6), function, *shape, size=(3, 5, 8)) >= 1


def test_batch_norm_is_gone():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
    ).eval().requires_grad_(False)  # fmt: skip
    for norm in (model[1], model[3]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(1e-3, 3)
    x = torch.randn(2, 3, 9, 9)
    found = torch.compile(model, backend="gint", options={"freeze": True})(x)
    torch.testing.assert_close(found, model(x), rtol=1e-4, atol=1e-4)
    assert statistics()[-1].programs <= 2  # copies into channels-last memory, and back
