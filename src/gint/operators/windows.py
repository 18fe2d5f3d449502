"""Windows: how a kernel moves over the spatial dimensions of a tensor.

Knows sizes and strides. Does not know what is made of a window's elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .arrays import empty_in_order, order_of


class Windows(NamedTuple):
    """Numbers per spatial dimension: elements of a window, the steps from one window and from one
    element to the next, what is added at both ends, and how many windows there are."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    padding: list[int]
    counts: list[int]

    @property
    def rank(self) -> int:
        return len(self.kernel)

    @classmethod
    def over(
        cls, sizes: Sequence[int], kernel: list[int], stride: list[int], padding: list[int],
        dilation: list[int], ceil_mode: bool = False,
    ) -> Windows:  # fmt: skip
        """The windows over a source of `sizes`; with `ceil_mode` also one that leaves it at the
        end, if it begins inside. Raises ValueError where there is none."""
        counts = []
        for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
            if k < 1 or s < 1 or d < 1 or p < 0:
                raise ValueError(
                    f"A window needs a kernel, stride and dilation of at least 1 and a padding of "
                    f"at least 0: {kernel}, {stride}, {dilation}, {padding}."
                )
            reach = size + 2 * p - d * (k - 1) - 1
            count = (reach + (s - 1 if ceil_mode else 0)) // s + 1
            if ceil_mode and (count - 1) * s >= size + p:
                count -= 1
            if count < 1:
                raise ValueError(f"A window of {kernel} does not fit into {tuple(sizes)}.")
            counts.append(count)
        return cls(kernel, stride, dilation, padding, counts)

    def padded(self, x: np.ndarray, first: int, outside: float = 0) -> np.ndarray:
        """The source with everything around it that windows reach, in the order of its memory.

        Its spatial dimensions begin at `first`.
        """
        sizes = x.shape[first : first + self.rank]
        after = [
            max(0, (c - 1) * s + (k - 1) * d + 1 - p - size)
            for size, k, s, d, p, c in zip(sizes, *self, strict=True)
        ]  # fmt: skip
        if not any(self.padding) and not any(after):
            return x
        around = [(0, 0)] * x.ndim
        around[first : first + self.rank] = list(zip(self.padding, after, strict=True))
        shape = [b + n + a for n, (b, a) in zip(x.shape, around, strict=True)]
        made = empty_in_order(shape, x.dtype, order_of(x))
        made[...] = outside
        made[tuple(slice(b, b + n) for n, (b, _) in zip(x.shape, around, strict=True))] = x
        return made

    def views(self, x: np.ndarray, first: int) -> np.ndarray:
        """Every window of a padded source: its spatial dimensions from `first` on count windows,
        and the elements of a window follow as dimensions at the end."""
        step = x.strides[first : first + self.rank]
        shape = (*x.shape[:first], *self.counts, *x.shape[first + self.rank :], *self.kernel)
        over = [n * s for n, s in zip(step, self.stride, strict=True)]
        within = [n * d for n, d in zip(step, self.dilation, strict=True)]
        strides = (*x.strides[:first], *over, *x.strides[first + self.rank :], *within)
        return as_strided(x, shape, strides, writeable=False)
