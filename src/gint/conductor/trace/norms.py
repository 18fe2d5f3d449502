"""Norms as torch's decompositions do not write them: in fewer steps per element.

Knows ATen's operators. Does not know opcodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def batch_norm_no_training(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """x * scale + shift, as eager's kernel has it: two operations an element. Channels are
    dimension 1. The statistics are saved where eager saves them, in float32 at least."""
    wide = torch.promote_types(x.dtype, torch.float32)
    mean, rstd = mean.to(wide, copy=True), torch.rsqrt(variance.to(wide) + eps)
    scale = rstd if weight is None else rstd * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    sizes = [-1] + [1] * (x.dim() - 2)
    y = (x * scale.view(sizes) + shift.view(sizes)).to(x.dtype)
    if x.device.type == "cpu":
        return y, x.new_zeros((0,)), x.new_zeros((0,))
    return y, mean, rstd


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """The same where it is no training, else as torch has it."""
    if training or mean is None or variance is None:
        trained = torch._decomp.decomposition_table[aten.native_batch_norm.default]
        return trained(x, weight, bias, mean, variance, training, momentum, eps)
    return batch_norm_no_training(x, weight, bias, mean, variance, momentum, eps)


def batch_norm_functional(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, ...]:
    """As torch has it; the running statistics keep their types, as eager's do."""
    trained = torch._decomp.decomposition_table[aten._native_batch_norm_legit_functional.default]
    *results, new_mean, new_variance = trained(
        x, weight, bias, mean, variance, training, momentum, eps
    )
    return *results, new_mean.to(mean.dtype), new_variance.to(variance.dtype)


#: Overloads of ATen's, and what they are traced as.
WRITTEN: dict[Any, Callable] = {
    aten._native_batch_norm_legit_no_training.default: batch_norm_no_training,
    aten.native_batch_norm.default: batch_norm,
    aten._native_batch_norm_legit_functional.default: batch_norm_functional,
}
