"""What one row of a decoder's layer needs between its products, in native code.

A program is laid out and scheduled for any shape, and touches as many objects; after a product has
driven them out of the caches that costs several times what a row's few thousand values do
(docs/performance.md). Knows how to hand arrays to `_native`. Does not know where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gint.native.loader import load_native
from gint.quantized import PreparedWeights

_native: Any = load_native()


class CppRowSteps:
    """See gint.backend.protocol.RowSteps."""

    def norm(
        self, x: np.ndarray, more: np.ndarray | None, weight: np.ndarray, eps: float,
        out: np.ndarray,
    ) -> Callable[..., None]:  # fmt: skip
        return _native.row_norm(x, more, weight, eps, out)

    def add(self, x: np.ndarray, more: np.ndarray) -> Callable[..., None]:
        return _native.row_add(x, more)

    def gate(
        self, gates: np.ndarray, ups: np.ndarray, activation: str, out: np.ndarray
    ) -> Callable[..., None]:
        return _native.row_gate(gates, ups, activation, out)

    def keep(
        self, qkv: np.ndarray, cos: np.ndarray, sin: np.ndarray, interleaved: bool,
        key: np.ndarray, value: np.ndarray,
    ) -> Callable[..., None]:  # fmt: skip
        return _native.row_keep(qkv, cos, sin, interleaved, key, value)

    def embed(
        self, weights: PreparedWeights, scale: float, token: np.ndarray, out: np.ndarray
    ) -> Callable[..., None]:
        return _native.row_embed(weights, scale, token, out)

    def sample(
        self, logits: np.ndarray, seen: np.ndarray, rule: np.ndarray, token: np.ndarray
    ) -> Callable[..., None]:
        return _native.row_sample(logits, seen, rule, token)

    def attention(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> Callable[..., None]:
        return _native.RowAttention(q, k, v, 0)
