"""Scans in programs: eager's values, indices and types, alone and with what is around them."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from ..comparing import Call, Traced, check

pytestmark = pytest.mark.torch

SCANS = {
    "cumsum": torch.cumsum, "cumprod": torch.cumprod, "cummax": torch.cummax,
    "cummin": torch.cummin, "logcumsumexp": torch.logcumsumexp,
}  # fmt: skip
DTYPES = (torch.float32, torch.bfloat16, torch.int64, torch.bool)
SHAPES = [((), 0), ((1,), 0), ((0,), 0), ((7,), -1), ((3, 0), 0), ((3, 0), 1), ((1, 5), 0),
          ((13, 37), 0), ((13, 37), 1), ((3, 5, 7), 1), ((2, 3, 1, 70), -2)]  # fmt: skip


def _values(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    torch.manual_seed(0)
    values = torch.tensor([1.0, -0.5, 0.25, 2.0, -0.0, 0.0, -1.0])
    return values[torch.randint(7, shape)].to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_scans(name, dtype, shape, dim, interpreters):
    if name == "logcumsumexp" and not dtype.is_floating_point:
        pytest.skip("floats alone")
    call = Call.of(SCANS[name], _values(shape, dtype), dim)
    check(call, interpreters, units=8.0 if name == "logcumsumexp" else 1.0)


@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("dim", [0, 1])
def test_nan_and_infinities(name, dim, interpreters):
    x = _values((40, 40), torch.float32)
    x[3, 5], x[7, 5], x[9, 9], x[11, 30], x[12, 30] = math.nan, 1.0, math.inf, -math.inf, math.inf
    x[20, 20], x[20, 30], x[0, 0], x[20, 31] = math.nan, math.nan, -math.inf, 3.0
    check(Call.of(SCANS[name], x, dim), interpreters, units=8.0 if name == "logcumsumexp" else 1.0)


TOGETHER = {
    "of what is computed": lambda x: x.exp().cumsum(0) / (x + 9),
    "of a softmax": lambda x: x.softmax(-1).cumsum(-1),
    "reduced": lambda x: x.cumsum(-1).amax(-1),
    "normalised": lambda x: x.cumsum(-1) / x.sum(-1, keepdim=True),
    "of a view": lambda x: x.t()[::2, 1:].cumsum(0).exp(),
    "twice": lambda x: x.cumsum(0).cumsum(0),
    "values and indices": lambda x: tuple(v + 1 for v in torch.cummax(x * 2, 1)),
    "counted": lambda x: (x > 0).cumsum(1) * x,
    "dtype": lambda x: x.round().cumsum(1, dtype=torch.int32),
    "backwards": lambda x: x.flip(0).cumsum(0).flip(0) * 2,
    "backwards, and forwards": lambda x: (x.flip(1).cumsum(1).flip(1) - x) * x.sum(1, keepdim=True),
    "backwards, with positions": lambda x: (
        x.flip(1).cumsum(1).flip(1) + x.argmax(1, keepdim=True) + torch.arange(10)
    ),
    "backwards in the middle": lambda x: torch.cummax(x.view(3, 4, 5).flip(1), 1)[0].flip(1) + 1,
}
APART = {
    "along both": lambda x: x.cumsum(0) + x.cumsum(1),
    "shifted": lambda x: (x * 2).cumsum(0)[1:] - (x * 2).cumsum(0)[:-1],
    "cut in two": lambda x: (x + 1).cumsum(1).view(6, 5, 2) * x.view(6, 5, 2),
    "of what was two": lambda x: (x.view(6, 5, 2).transpose(0, 1) + 1).reshape(-1).cumsum(0),
    "reduced over both": lambda x: x.cumsum(0).sum() + x,
    "both ways": lambda x: x.cumsum(1) + x.flip(1).cumsum(1).flip(1),
    "chosen": lambda x: x.cumsum(1)[:, 3] + x[:, 0],
    "diagonal": lambda x: x[:, :6].cumsum(1).diagonal() * 2,
}


@pytest.mark.parametrize("name", [*TOGETHER, *APART])
def test_scans_with_what_is_around_them(name, interpreters):
    torch.manual_seed(1)
    call = Call.of((TOGETHER | APART)[name], torch.randn(6, 10))
    check(call, interpreters, units=32.0)
    record = Traced(call).compile("cpp").record
    assert record.externs == {}
    assert record.programs == 1 or name in APART


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "logcumsumexp"])
def test_gradients(name):
    def loss(x):
        found = SCANS[name](x * 2, 1)
        return ((found if torch.is_tensor(found) else found[0]) * torch.arange(7.0)).sum()

    torch.manual_seed(1)
    x = torch.randn(5, 7, requires_grad=True)
    (wanted,) = torch.autograd.grad(loss(x), x)
    (found,) = torch.autograd.grad(torch.compile(loss, backend="gint")(x), x)
    torch.testing.assert_close(found, wanted)


def test_a_gradient_is_one_program():
    """The scan backwards, of what comes before it and into what comes after."""

    def gradient(grad, w, y):
        with torch.enable_grad():
            x = y.clone().requires_grad_()
            loss = (x * 2).exp().cumsum(1) * w
        return torch.autograd.grad(loss, x, grad)[0]

    call = Call.of(gradient, *torch.randn(3, 5, 7))
    record = Traced(call).compile("cpp").record
    assert record.programs == 1
    assert not record.externs


def test_a_reversed_scan_into_its_own_input():
    def function(x):
        x.copy_(x.flip(0).cumsum(0).flip(0))

    x = torch.randn(6, 5)
    wanted = x.flip(0).cumsum(0).flip(0)
    torch.compile(function, backend="gint")(x)
    torch.testing.assert_close(x, wanted)


def test_dynamic_sizes():
    def function(x):
        return x.cumsum(0) * 2, torch.cummin(x, -1), x.flip(1).cumsum(1).flip(1) + 1

    compiled = torch.compile(function, backend="gint", dynamic=True)
    for shape in ((3, 4), (9, 300), (1, 1), (700, 2)):
        x = torch.randn(shape)
        torch.testing.assert_close(compiled(x), function(x))
