"""Activations and their gradients as one expression that goes from value to value.

What torch's decompositions write as a choice between two computed values, each read from memory
in a pass of its own, is here a factor that is chosen, or a clamp. The values are eager's, but for
the sign of a zero and for what an infinite gradient becomes where the factor is 0.

Knows ATen's operators. Does not know opcodes.
"""

from __future__ import annotations

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
    """The difference over beta, at most 1 in size; for the mean over x's elements."""
    share = 1.0 / x.numel() if reduction == 1 else 1.0
    if beta == 0:
        return torch.sign(x - target) * share * grad
    return torch.clamp((x - target) / beta, -1.0, 1.0) * share * grad


#: Overloads of ATen's, and what they are traced as.
WRITTEN: dict[Any, Callable] = {
    aten.leaky_relu_backward.default: leaky_relu_backward,
    aten.softshrink.default: softshrink,
    aten.hardshrink.default: hardshrink,
    aten.log_sigmoid_backward.default: log_sigmoid_backward,
    aten.elu_backward.default: elu_backward,
    aten.huber_loss_backward.default: huber_loss_backward,
    aten.smooth_l1_loss_backward.default: smooth_l1_loss_backward,
}
