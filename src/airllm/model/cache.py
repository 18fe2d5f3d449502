"""Keys and values of the positions so far, and what else depends on a position.

Knows sizes and positions. Does not know weights or steps.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from airllm.checkpoint import Architecture
from airllm.tensor_ops.attention import CAUSAL
from airllm.tensor_ops.rope import frequencies_of
from airllm.tensor_ops.steps import Kept
from gint.host import memory

#: One row attends over a multiple of so many positions: what lies behind its own is masked. So its
#: steps are the same for as many tokens.
BUCKET = 64
#: What keys and values are kept as: exactly, or rounded to half as many bytes.
CACHE_DTYPES = ("float32", "float16")


class Cache:
    """Room for `capacity` positions; `length` of them are filled.

    keys      (layers, n_kv_heads, capacity / BUCKET, d, BUCKET) of `dtype`: the scores of
              neighbouring positions are computed together, and what is read lies in one piece
    values    (layers, n_kv_heads, capacity, d) of `dtype`
    cos, sin  (capacity, dims / 2) float32, of the rotation at a position
    """

    def __init__(
        self, architecture: Architecture, capacity: int, dtype: str = CACHE_DTYPES[0]
    ) -> None:
        if dtype not in CACHE_DTYPES:
            raise ValueError(
                f"Keys and values are kept as {' or '.join(CACHE_DTYPES)}, not {dtype!r}."
            )
        a = self.architecture = architecture
        self.capacity, self.length = -(-max(capacity, 1) // BUCKET) * BUCKET, 0
        # Zeros, since what is masked is multiplied too; positions to come take up no memory yet.
        blocks = self.capacity // BUCKET
        room = np.dtype(dtype)
        self.keys = memory.reserve((a.layers, a.kv_heads, blocks, a.head_dim, BUCKET), room)
        self.values = memory.reserve((a.layers, a.kv_heads, self.capacity, a.head_dim), room)
        frequencies = frequencies_of(a.rope.dims // 2, a.rope.theta, a.rope.scaling)
        angles = np.arange(self.capacity)[:, None] * (frequencies / np.array(a.rope.divisors))
        self.cos, self.sin = (f(angles).astype(np.float32) for f in (np.cos, np.sin))
        # Of one row's attention.
        self._scores = np.empty(a.heads * self.capacity, np.float32)
        # What a row at position p keeps begins capacity - 1 - p before the row's own.
        self._keep = np.zeros(2 * self.capacity, bool)
        self._keep[max(0, self.capacity - (a.window or self.capacity)) : self.capacity] = True

    def key_places(self, layer: int, rows: int) -> list[Kept]:
        """Where a layer's keys of the next rows belong."""
        begin, end = self.length, self.length + rows
        cuts = [begin, *range((begin // BUCKET + 1) * BUCKET, end, BUCKET), end]
        return [
            Kept(
                np.s_[first - begin : last - begin],
                self.keys[layer, :, first // BUCKET, :, first % BUCKET :][..., : last - first],
            )
            for first, last in pairwise(cuts)
        ]

    def first(self, layer: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """A layer's keys and values of the first `count` positions, (count, n_kv_heads * d) each,
        copied, in float32."""
        a, blocks = self.architecture, -(-count // BUCKET)
        keys = self.keys[layer, :, :blocks].transpose(1, 3, 0, 2)
        keys = keys.reshape(blocks * BUCKET, a.kv_size)[:count]
        values = self.values[layer, :, :count].transpose(1, 0, 2).reshape(count, a.kv_size)
        return keys.astype(np.float32), values.astype(np.float32)

    def attended(self) -> int:
        """How many positions the next one looks at, those included that are masked."""
        return min(-(-(self.length + 1) // BUCKET) * BUCKET, self.capacity)

    def keep(self, position: int, count: int) -> np.ndarray:
        """Which of the first `count` positions the row at `position` attends to, (count,) bool."""
        first = self.capacity - 1 - position
        return self._keep[first : first + count]

    def scores(self, count: int) -> np.ndarray:
        """Memory for one row's scores, (n_kv_heads, queries that share one, count)."""
        a = self.architecture
        return self._scores[: a.heads * count].reshape(a.kv_heads, -1, count)

    def mask(self, rows: int) -> np.ndarray | str:
        """What the next `rows` positions attend to, as `multi_head_attention` takes it."""
        window = self.architecture.window
        if window is None or self.length + rows <= window:
            return CAUSAL
        position = np.arange(self.length, self.length + rows)[:, None]
        seen = np.arange(self.length + rows)
        return (seen <= position) & (seen > position - window)

    def truncate(self, length: int) -> None:
        """Forget what comes behind the first `length` positions."""
        if not 0 <= length <= self.length:
            raise ValueError(f"The cache holds {self.length} positions; {length} are none of them.")
        self.length = length
