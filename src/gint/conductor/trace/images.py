"""Pooling and resizing by whole factors: a view with an axis of its own for what is in a window,
which is folded or repeated.

Where sizes are no multiples, ATen's operators stay. So they do where sizes are symbols.

Knows ATen's operators. Does not know opcodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

#: Elements of a window that pooling combines one by one (lowering/windows.py).
_MOST_TAPS = 32


def _factors(long: Sequence[int], short: Sequence[int]) -> list[int] | None:
    """How often the short sizes go into the long ones, or None."""
    if not all(isinstance(n, int) and n > 0 for n in (*long, *short)):
        return None
    pairs = list(zip(long, short, strict=True))
    return [n // m for n, m in pairs] if all(n % m == 0 for n, m in pairs) else None


def _adaptive_avg_pool2d(x: Tensor, output_size: Sequence[int]) -> Any:
    """Windows that are all as large: an average pool, or a mean where they are large."""
    kernel = _factors(x.shape[-2:], output_size)
    is_known = all(isinstance(n, int) and n > 0 for n in x.shape)
    if kernel is None or not is_known or not _is_image(x):
        return NotImplemented
    if math.prod(kernel) <= _MOST_TAPS:
        return aten.avg_pool2d(x, kernel, kernel)
    if not x.is_contiguous():
        return NotImplemented
    (rows, columns), (high, wide) = output_size, kernel
    return x.unflatten(-2, (rows, high)).unflatten(-1, (columns, wide)).mean((-3, -1))


def _avg_pool2d_backward(
    grad: Tensor,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    """Of windows side by side: each element gets a share of its window's gradient."""
    factors = _factors(x.shape[-2:], grad.shape[-2:])
    windows = [list(n) * 2 if len(n) == 1 else list(n) for n in (kernel, stride or kernel)]
    if factors is None or windows != [factors, factors] or any(padding):
        return NotImplemented
    if not _are_images_alike(x, grad):
        return NotImplemented
    return _repeated(grad / (divisor_override or math.prod(factors)), factors)


def _upsample_nearest2d(
    x: Tensor,
    output_size: Sequence[int],
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> Any:
    """By powers of two, for which eager's positions, which are rounded, are exact."""
    factors = _factors(output_size, x.shape[-2:])
    if factors is None or not _are_images_alike(x) or any(f & (f - 1) for f in factors):
        return NotImplemented
    given = (scales_h, scales_w)
    if any(s is not None and s != f for s, f in zip(given, factors, strict=True)):
        return NotImplemented
    return _repeated(x, factors)


def _repeated(x: Tensor, factors: Sequence[int]) -> Tensor:
    """Each element as often as the factors say, in the image's memory format."""
    (high, wide), (batch, channels, rows, columns) = factors, x.shape
    if x.is_contiguous():
        apart = x.unsqueeze(3).unsqueeze(5)
        copied = apart.expand(batch, channels, rows, high, columns, wide).clone(
            memory_format=torch.contiguous_format
        )
        return copied.view(batch, channels, rows * high, columns * wide)
    apart = x.permute(0, 2, 3, 1).unsqueeze(2).unsqueeze(4)
    copied = apart.expand(batch, rows, high, columns, wide, channels).clone(
        memory_format=torch.contiguous_format
    )
    return copied.view(batch, rows * high, columns * wide, channels).permute(0, 3, 1, 2)


def _are_images_alike(*images: Tensor) -> bool:
    """Whether they are batches of float images in one memory format."""
    by_channels = all(map(_is_by_channels, images))
    return by_channels or all(x.dim() == 4 and x.is_contiguous() and _is_float(x) for x in images)


def _is_image(x: Tensor) -> bool:
    """Whether it is a float image of the CPU that lies without gaps, in either memory format."""
    return (x.is_contiguous() and _is_float(x)) or _is_by_channels(x)


def _is_by_channels(x: Tensor) -> bool:
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return last and not x.is_contiguous() and _is_float(x)


def _is_float(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.is_floating_point()


#: Overloads of ATen's, and what they are traced as.
WRITTEN: dict[Any, Callable] = {
    aten._adaptive_avg_pool2d.default: _adaptive_avg_pool2d,
    aten.avg_pool2d_backward.default: _avg_pool2d_backward,
    aten.upsample_nearest2d.default: _upsample_nearest2d,
}
