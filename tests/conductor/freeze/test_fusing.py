"""What follows products and convolutions in oneDNN: the operators, the layouts, what is left."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn
from torch.nn import functional as F

from gint.conductor import statistics
from gint.conductor.freeze import fusing
from gint.runtime.tensors import products

pytestmark = [
    pytest.mark.torch,
    pytest.mark.usefixtures("fresh_dynamo"),
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="a torch without oneDNN"),
]

ACTIVATIONS = {
    "relu": torch.relu, "relu6": F.relu6, "clamp": lambda x: x.clamp(-0.5, 0.25),
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": F.silu, "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
}  # fmt: skip
#: oneDNN's make numbers of NaN, or, after a convolution, NaN of infinities: they stay programs.
LOSING, LOSING_AFTER_CONVOLUTION = ("relu", "relu6", "clamp"), ("relu", "relu6", "clamp", "gelu")


class After(nn.Module):
    def __init__(self, layer, function):
        super().__init__()
        self.layer, self.function = layer, function
        self.requires_grad_(False)

    def forward(self, x, *others):
        return self.function(self.layer(x), *others)


def programs(layer, function, *args) -> int:
    """How many programs are left; the values are eager's."""
    torch._dynamo.reset()
    model = After(layer, function)
    frozen = torch.compile(model, backend="gint", options={"freeze": True, "check": True})
    torch.testing.assert_close(frozen(*args), model(*args), rtol=1e-4, atol=2e-5)
    return statistics()[-1].programs


def image(*size):
    return torch.randn(*size).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_follows(name, monkeypatch):
    monkeypatch.setattr(products, "is_faster", lambda: True)
    function = ACTIVATIONS[name]
    left = int(name in LOSING_AFTER_CONVOLUTION), int(name in LOSING)
    assert programs(nn.Conv2d(4, 6, 3), function, image(2, 4, 9, 9)) == left[0]
    assert programs(nn.Linear(256, 300), function, torch.randn(2, 33, 256)) == left[1]
    assert "mkldnn._linear_pointwise" in statistics()[-1].externs


def test_another_tensor_is_added(monkeypatch):
    monkeypatch.setattr(products, "is_faster", lambda: True)
    conv, x, other = nn.Conv2d(4, 6, 3, stride=2), image(2, 4, 9, 9), image(2, 6, 4, 4)
    assert programs(conv, lambda y, o: y + o, x, other) == 0
    assert programs(conv, lambda y, o: torch.relu(o + y), x, other) == 1
    linear, x, other = nn.Linear(256, 300), torch.randn(2, 33, 256), torch.randn(2, 33, 300)
    assert programs(linear, lambda y, o: o + y, x, other) == 0


def test_one_of_two_convolutions_adds_the_other():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3)
            self.requires_grad_(False)

        def forward(self, x):
            return torch.sigmoid(self.a(x)) + self.b(x)

    model, x = Two(), image(1, 4, 9, 9)
    frozen = torch.compile(model, backend="gint", options={"freeze": True, "check": True})
    torch.testing.assert_close(frozen(x), model(x), rtol=1e-4, atol=1e-5)
    assert statistics()[-1].programs == 0


LEFT = {
    "another layout": (lambda y, o: y + o, torch.randn(2, 6, 7, 7)),
    "another size": (lambda y, o: y + o, torch.randn(6, 1, 1)),
    "another type": (lambda y, o: y + o, image(2, 6, 7, 7).double()),
    "a multiple": (lambda y, o: torch.add(y, o, alpha=2), image(2, 6, 7, 7)),
    "twice itself": (lambda y, o: y + y, torch.randn(1)),
    "used elsewhere": (lambda y, o: torch.relu(y) + y.sum(), torch.randn(1)),
    "limits that are computed": (lambda y, o: y.clamp(o, o + 1), torch.randn(1)),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_programs(name):
    function, other = LEFT[name]
    assert programs(nn.Conv2d(4, 6, 3), function, image(2, 4, 9, 9), other) >= 1


def test_values_that_are_no_numbers():
    x = image(1, 4, 9, 9)
    x[0, 1, 2, 2], x[0, 0, 7, 7] = float("nan"), float("inf")
    layer = nn.Conv2d(4, 6, 3, padding=1).requires_grad_(False)
    frozen = torch.compile(layer, backend="gint", options={"freeze": True})
    torch.testing.assert_close(frozen(x), layer(x), equal_nan=True)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "added"])
def test_what_follows_keeps_nan_and_infinities(name, monkeypatch):
    monkeypatch.setattr(products, "is_faster", lambda: True)
    function = ACTIVATIONS.get(name, lambda y: torch.relu(y + 1))
    x, rows = image(1, 4, 9, 9), torch.randn(2, 33, 256)
    x[0, 1, 2, 2], x[0, 0, 7, 7] = float("nan"), float("inf")
    rows[0, 3, 5], rows[1, 7, 9] = float("nan"), float("-inf")
    for layer, given in [(nn.Conv2d(4, 6, 1), x), (nn.Linear(256, 300), rows)]:
        torch._dynamo.reset()
        model = After(layer, function)
        found = torch.compile(model, backend="gint", options={"freeze": True})(given)
        torch.testing.assert_close(found, model(given), rtol=1e-4, atol=2e-5, equal_nan=True)


def test_convolutions_that_stay_atens():
    x = torch.randn(1, 4, 9, 9)
    transposed = nn.ConvTranspose2d(4, 6, 3)
    double, one = nn.Conv2d(4, 6, 3).double(), nn.Conv1d(4, 6, 3)
    for layer, given in (
        (transposed, x),
        (double, x.double()),
        (one, x[:, :, 0]),
        (nn.Conv2d(4, 6, 3), x),
    ):
        programs(layer, torch.relu, given)
        assert statistics()[-1].externs == {"aten.convolution": 1}


@pytest.mark.parametrize(("width", "is_packed"), [(15, False), (16, True)])
def test_small_convolutions_stay_atens(width, is_packed, monkeypatch):
    monkeypatch.setattr(fusing, "_LEAST_WORK", 1 << 20)
    layer = nn.Conv2d(64, 64, 1)  # 2^20 multiplications are 16 times 16 positions
    assert programs(layer, lambda y: y, image(1, 64, 16, width)) == 0
    (name,) = statistics()[-1].externs
    assert name.startswith("mkldnn") == is_packed
