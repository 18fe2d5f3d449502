"""Operators broken up while tracing. Few: what a rule lowers whole is quicker to trace whole.

Attention is not among them, so that it stays one ATen call wherever AOTAutograd leaves it whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from . import foreach, gradients, images, norms

aten = torch.ops.aten

_PACKETS = (
    # activations and their gradients
    aten.elu, aten.elu_backward, aten.celu, aten.selu, aten.mish, aten.mish_backward,
    aten.softplus, aten.softplus_backward, aten.hardtanh, aten.hardtanh_backward,
    aten.hardswish, aten.hardswish_backward, aten.hardsigmoid, aten.hardsigmoid_backward,
    aten.leaky_relu_backward, aten.threshold, aten.glu, aten.glu_backward,
    aten.hardshrink, aten.softshrink, aten.log_sigmoid_forward, aten.log_sigmoid_backward,
    aten.prelu, aten._prelu_kernel, aten._prelu_kernel_backward, aten.relu6,
    # arithmetic
    aten.addcmul, aten.addcdiv, aten.lerp, aten.logaddexp, aten.logaddexp2, aten.xlogy,
    aten.logit, aten.logit_backward, aten.frac, aten.deg2rad, aten.rad2deg,
    aten.square, aten.sgn, aten.sinc, aten.isfinite, aten.isposinf, aten.isneginf,
    aten.heaviside, aten.masked_fill, aten.tril, aten.triu, aten.eye, aten.logspace,
    aten.count_nonzero, aten.trace,
    aten.logsumexp, aten.std, aten.std_mean, aten.norm, aten.dist, aten.aminmax,
    aten.special_xlog1py,
    # losses
    aten.mse_loss, aten.mse_loss_backward, aten.smooth_l1_loss, aten.smooth_l1_loss_backward,
    aten.huber_loss, aten.huber_loss_backward, aten.binary_cross_entropy,
    aten.binary_cross_entropy_backward, aten.binary_cross_entropy_with_logits,
    aten.soft_margin_loss,
    # norms
    aten.native_layer_norm_backward, aten.native_group_norm, aten.native_group_norm_backward,
    aten._native_batch_norm_legit_no_training, aten._native_batch_norm_legit,
    aten._native_batch_norm_legit_functional, aten.native_batch_norm,
    aten.native_batch_norm_backward, aten._fused_rms_norm_backward,
    aten._batch_norm_with_update_functional, aten._batch_norm_no_update, aten.batch_norm_backward,
    aten._weight_norm_interface,
    # gradients of views, embeddings, dropout
    aten.slice_backward, aten.select_backward, aten.unfold_backward,
    aten.native_dropout_backward, aten.rot90, aten.block_diag,
    # shapes
    aten._reshape_alias, aten._unsafe_view, aten.unsafe_split, aten.unsafe_chunk,
    aten.diagonal_copy, aten.pixel_shuffle, aten.pixel_unshuffle,
    aten.channel_shuffle,
)  # fmt: skip
_KEPT = {aten._unsafe_view.default}


@cache
def decompositions() -> dict[Any, Callable]:
    from torch._decomp import decomposition_table

    chosen = {}
    for packet in _PACKETS:
        for overload in (getattr(packet, name) for name in packet.overloads()):
            if overload in decomposition_table and overload not in _KEPT:
                chosen[overload] = decomposition_table[overload]
    chosen[aten.repeat.default] = _repeat
    chosen[aten.roll.default] = _roll
    chosen[aten.index_put.default] = _index_put
    chosen[aten.eye.default], chosen[aten.eye.m] = _eye, _eye_of_columns
    chosen[aten.lerp.Scalar] = _lerp
    chosen[aten.take.default] = _take
    chosen[aten.addcmul.default] = _addcmul
    chosen[aten.addcdiv.default] = _addcdiv
    chosen[aten.slice_backward.default] = _slice_backward
    chosen[aten.select_backward.default] = _select_backward
    return chosen | gradients.WRITTEN | norms.WRITTEN | images.WRITTEN | foreach.WRITTEN


def _lerp(start: torch.Tensor, end: torch.Tensor, weight: float) -> torch.Tensor:
    """As eager, from the end that is nearer. (torch's chooses between both with tensors.)

    Of integers there is none: that is left for eager to say."""
    if not (start.is_floating_point() or start.is_complex()):
        return NotImplemented
    if not isinstance(weight, (int, float)):  # a symbol: which end would become a guard
        return torch._refs.lerp(start, end, weight)
    if abs(weight) < 0.5:
        return start + (end - start) * weight
    return end - (end - start) * (1 - weight)


def _take(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The elements at these row-major positions, counted from the end where they are negative."""
    return x.reshape(-1)[index]


def _addcmul(
    x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, value: float = 1
) -> torch.Tensor:
    """As torch's, without a product by 1. Of integers eager takes the value's whole part."""
    made = torch.promote_types(x.dtype, torch.promote_types(a.dtype, b.dtype))
    if not (made.is_floating_point or made.is_complex or isinstance(value, torch.SymInt)):
        if not _is_one_of(value, made):
            return NotImplemented  # eager says why
        value = int(value)
    return x + (a * b if _is_one(value) else value * a * b)


def _is_one_of(value: object, integers: torch.dtype) -> bool:
    """Whether it is a number, and one whose whole part the type of integers holds."""
    if integers == torch.bool or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    limits = torch.iinfo(integers)
    return limits.min <= int(value) <= limits.max


def _addcdiv(
    x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, value: float = 1
) -> torch.Tensor:
    """As torch's, without a product by 1. Of integers eager says that there is none."""
    if not (a.is_floating_point() or b.is_floating_point()):
        return torch._refs.addcdiv(x, a, b, value=value)
    return x + (a / b if _is_one(value) else value * (a / b))


def _is_one(value: object) -> bool:
    """Whether it is the number 1, and no symbol that may be."""
    return isinstance(value, (int, float)) and value == 1


def _slice_backward(
    grad: torch.Tensor, sizes: Sequence[int], dim: int, start: int, end: int, step: int
) -> torch.Tensor:
    """Left to its rule where the piece is known to lie in one run from `start` on."""
    from torch._decomp import decomposition_table

    known = isinstance(start, int) and isinstance(step, int) and isinstance(sizes[dim], int)
    if grad.device.type != "cpu" or not known or step != 1:
        return decomposition_table[aten.slice_backward.default](grad, sizes, dim, start, end, step)
    size, whole = sizes[dim], dim % len(sizes)
    first = min(max(start + size if start < 0 else start, 0), size)
    if (whole, first) == (dim, start):
        return NotImplemented  # make_fx then records the operator itself
    return aten.slice_backward.default(grad, sizes, whole, first, end, step)


def _select_backward(
    grad: torch.Tensor, sizes: Sequence[int], dim: int, index: int
) -> torch.Tensor:
    """The gradient of a slice of length 1."""
    dim = dim % len(sizes)
    first = index if index >= 0 else index + sizes[dim]
    return aten.slice_backward.default(grad.unsqueeze(dim), sizes, dim, first, first + 1, 1)


def _repeat(x: torch.Tensor, repeats: list[int]) -> torch.Tensor:
    """A view that broadcasts a new dimension before each one, and a copy of it."""
    sizes = [1] * (len(repeats) - x.dim()) + list(x.shape)
    x = x.expand(sizes)
    for d in range(len(repeats)):
        x = x.unsqueeze(2 * d)
    x = x.expand([n for pair in zip(repeats, sizes, strict=True) for n in pair])
    copied = x.clone(memory_format=torch.contiguous_format)
    return copied.view([r * s for r, s in zip(repeats, sizes, strict=True)])


def _roll(x: torch.Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> torch.Tensor:
    """Two pieces that change places along each dimension; along all of them at once where none is
    named. Where a size is symbolic, torch's way: where the pieces meet would become a guard."""
    if not all(isinstance(size, int) for size in x.shape) or x.numel() == 0:
        return torch._refs.roll(x, shifts, dims)
    if not dims:
        return _roll(x.flatten(), shifts, [0]).view(x.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        size = x.shape[dim]
        first = size - shift % size
        x = torch.cat([x.narrow(dim, first, size - first), x.narrow(dim, 0, first)], dim)
    return x


def _eye(n: int, **options: Any) -> torch.Tensor:
    return _eye_of_columns(n, n, **options)


def _eye_of_columns(
    n: int,
    m: int,
    *,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
) -> torch.Tensor:
    """As torch's, of positions in int64: there is no arange of the narrower type torch takes. A
    square is zeros beside ones in memory: no position is compared."""
    if layout not in (None, torch.strided) or pin_memory:
        return NotImplemented
    if n == m and isinstance(n, int):
        dtype = dtype or torch.get_default_dtype()
        return torch.diag_embed(torch.ones(n, dtype=dtype, device=device))
    rows, columns = (torch.arange(size, device=device) for size in (n, m))
    return (rows.unsqueeze(-1) == columns).to(dtype or torch.get_default_dtype())


def _index_put(
    x: torch.Tensor, indices: list[torch.Tensor | None], values: torch.Tensor,
    accumulate: bool = False,
) -> torch.Tensor:  # fmt: skip
    """A mask and a number, as `x[mask] = 2` has them, are a choice; anything else is left."""
    if accumulate or len(indices) != 1 or values.dim():
        return NotImplemented
    (mask,) = indices
    if mask is None or mask.dtype is not torch.bool or not mask.dim():
        return NotImplemented
    if not all(isinstance(size, int) for size in x.shape) or mask.shape != x.shape[: mask.dim()]:
        return NotImplemented
    return torch.where(mask.view(*mask.shape, *[1] * (x.dim() - mask.dim())), values, x)
