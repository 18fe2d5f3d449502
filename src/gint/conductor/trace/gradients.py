"""Activations and their gradients as one expression that goes from value to value.

What torch's decompositions write as a choice between two computed values, each read from memory
in a pass of its own, is here a factor that is chosen, or a clamp. The values are eager's, but for
the sign of a zero and for what an infinite gradient becomes where the factor is 0.

Knows ATen's operators. Does not know opcodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def leaky_relu_backward(grad: Tensor, x: Tensor, slope: float, is_result: bool) -> Tensor:
    """grad where x is positive, grad * slope elsewhere; of the result the signs are the same."""
    return torch.where(x > 0, 1.0, slope).to(x.dtype) * grad


def softshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0."""
    return x - torch.clamp(x, -lambd, lambd)


def hardshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """x, or 0 within lambd of 0."""
    return torch.where(x.abs() <= lambd, 0, x)


def log_sigmoid_backward(grad: Tensor, x: Tensor, buffer: Tensor) -> Tensor:
    """grad / (1 + exp(x)); the buffer, which some devices fill, is not needed."""
    return torch.sigmoid(-x) * grad


def elu_backward(
    grad: Tensor, alpha: float, scale: float, input_scale: float, is_result: bool, x: Tensor
) -> Tensor:
    """grad * scale where x is positive; of the result the exponential need not be computed."""
    if is_result:
        below = (x + alpha * scale) * input_scale
    else:
        below = torch.exp(x * input_scale) * (input_scale * alpha * scale)
    return torch.where(x <= 0, below, scale) * grad


def huber_loss_backward(
    grad: Tensor, x: Tensor, target: Tensor, reduction: int, delta: float
) -> Tensor:
    """The difference, at most delta in size; for the mean over x's elements."""
    share = 1.0 / x.numel() if reduction == 1 else 1.0
    return torch.clamp(x - target, -delta, delta) * share * grad


def smooth_l1_loss_backward(
    grad: Tensor, x: Tensor, target: Tensor, reduction: int, beta: float
) -> Tensor:
    """The difference over beta, at most 1 in size; for the mean over x's elements. Eager also
    computes it in integers, which round at every step: left whole."""
    if not x.is_floating_point():
        return NotImplemented
    share = 1.0 / x.numel() if reduction == 1 else 1.0
    if beta == 0:
        return torch.sign(x - target) * share * grad
    return torch.clamp((x - target) / beta, -1.0, 1.0) * share * grad


def hardtanh_backward(grad: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """grad where x is between both limits, 0 elsewhere."""
    wide = _computed(x)
    return torch.where(wide <= low, 0.0, torch.where(wide >= high, 0.0, grad)).to(grad.dtype)


def hardsigmoid(x: Tensor) -> Tensor:
    """(x + 3) / 6 between 0 and 1."""
    return (torch.clamp(_computed(x) + 3, 0, 6) * (1 / 6)).to(x.dtype)


def hardsigmoid_backward(grad: Tensor, x: Tensor) -> Tensor:
    """A sixth of grad where x is between -3 and 3, 0 elsewhere."""
    part = torch.where(x < 3, _computed(grad) * (1 / 6), 0.0)
    return torch.where(x > -3, part, 0.0).to(grad.dtype)


def hardswish_backward(grad: Tensor, x: Tensor) -> Tensor:
    """grad * (x / 3 + 1 / 2) between -3 and 3; 0 below, grad above."""
    wide = _computed(x)
    part = torch.where(x < 3, (wide * (1 / 3) + 0.5) * grad, grad)
    return torch.where(x <= -3, 0.0, part).to(grad.dtype)


def softplus_backward(grad: Tensor, x: Tensor, beta: float, threshold: float) -> Tensor:
    """grad * sigmoid(beta * x); grad where beta * x is beyond the threshold."""
    scaled = _computed(x) * beta
    return torch.where(scaled > threshold, grad, torch.sigmoid(scaled) * grad).to(grad.dtype)


def silu_backward(grad: Tensor, x: Tensor) -> Tensor:
    """grad * s * (1 + x * (1 - s)), s the sigmoid of x: it is all that is read twice."""
    wide = _computed(x)
    sigmoid = torch.sigmoid(wide)
    return (((1 - sigmoid) * wide + 1) * sigmoid * grad).to(grad.dtype)


def logit_backward(grad: Tensor, x: Tensor, eps: float | None = None) -> Tensor:
    """grad / (x * (1 - x)) from eps to 1 - eps; beyond 0, or NaN where there is no eps."""
    low, beyond = (0.0, math.nan) if eps is None else (eps, 0.0)
    wide = _computed(x)
    slope = grad / ((1 - wide) * wide)
    inside = torch.where(wide <= 1 - low, slope, beyond)
    return torch.where(wide >= low, inside, beyond).to(grad.dtype)


def _computed(x: Tensor) -> Tensor:
    """In the type that halves are computed in: limits are not rounded to x's."""
    return x.float() if x.is_floating_point() and x.dtype.itemsize == 2 else x


#: Overloads of ATen's, and what they are traced as.
WRITTEN: dict[Any, Callable] = {
    aten.leaky_relu_backward.default: leaky_relu_backward,
    aten.softshrink.default: softshrink,
    aten.hardshrink.default: hardshrink,
    aten.log_sigmoid_backward.default: log_sigmoid_backward,
    aten.elu_backward.default: elu_backward,
    aten.huber_loss_backward.default: huber_loss_backward,
    aten.smooth_l1_loss_backward.default: smooth_l1_loss_backward,
    aten.hardtanh_backward.default: hardtanh_backward,
    aten.hardsigmoid.default: hardsigmoid,
    aten.hardsigmoid_backward.default: hardsigmoid_backward,
    aten.hardswish_backward.default: hardswish_backward,
    aten.softplus_backward.default: softplus_backward,
    aten.silu_backward.default: silu_backward,
    aten.logit_backward.default: logit_backward,
}
