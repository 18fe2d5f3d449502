"""Gradients written as one expression, against eager's own: limits, infinities, what is beyond."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.trace.gradients import WRITTEN

pytestmark = pytest.mark.torch
aten = torch.ops.aten
_SPECIAL = (0.0, 0.5, -0.5, 1.0, -1.0, math.inf, -math.inf, 200.0, -200.0, 1.5, math.nan)
#: Arguments by operator, of grad g, input x and target t.
_CALLS = {
    aten.leaky_relu_backward.default: ("(g, x, 0.01, False)", "(g, x, 0.1, True)"),
    aten.softshrink.default: ("(x, 0.5)", "(x, 0.0)"),
    aten.hardshrink.default: ("(x, 0.5)", "(x, 0.0)"),
    aten.log_sigmoid_backward.default: ("(g, x, torch.exp(-x.abs()))",),
    aten.elu_backward.default: ("(g, 0.7, 1.1, 0.9, False, x)", "(g, 0.7, 1.1, 0.9, True, x)"),
    aten.huber_loss_backward.default: ("(g, x, t, 0, 0.7)", "(g.sum(), x, t, 1, 0.7)"),
    aten.smooth_l1_loss_backward.default: ("(g, x, t, 0, 0.7)", "(g.sum(), x, t, 2, 0.7)"),
    aten.hardtanh_backward.default: ("(g, x, -1.0, 1.0)", "(g, x, -0.7, 0.3)"),
    aten.hardsigmoid.default: ("(x,)", "(3 * x,)"),
    aten.hardsigmoid_backward.default: ("(g, x)", "(g, 3 * x)"),
    aten.hardswish_backward.default: ("(g, x)", "(g, 3 * x)"),
    aten.softplus_backward.default: ("(g, x, 1, 20)", "(g, x, 2.5, 3)"),
    aten.silu_backward.default: ("(g, x)",),
    aten.logit_backward.default: ("(g, x, None)", "(g, x.abs() / 4, 0.1)"),
}

#: Eager's answers to NaN depend on where it lies.
_NAN_BY_PLACE = {
    aten.elu_backward.default, aten.hardtanh_backward.default, aten.hardswish_backward.default,
    aten.logit_backward.default,
}  # fmt: skip


def test_every_operator_has_arguments():
    assert set(_CALLS) == set(WRITTEN)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("target", WRITTEN, ids=str)
def test_values_are_eagers(target, dtype):
    torch.manual_seed(0)
    x, g, t = (2 * torch.randn(13, 17, dtype=dtype) for _ in range(3))
    x[0, : len(_SPECIAL)] = torch.tensor(_SPECIAL, dtype=dtype)
    if target in _NAN_BY_PLACE:
        x = x.nan_to_num(3.0, math.inf, -math.inf)
    for call in _CALLS[target]:
        arguments = eval(call, {"torch": torch}, {"x": x, "g": g, "t": t})
        expected = target(*arguments)
        torch.testing.assert_close(WRITTEN[target](*arguments), expected, equal_nan=True)
