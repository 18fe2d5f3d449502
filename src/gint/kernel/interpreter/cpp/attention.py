"""One row's attention over a cache, in native code.

Knows how to hand arrays to `_native`. Does not know where keys and values come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gint.native.loader import load_native

_native: Any = load_native()


def bind(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> Any:
    """See Backend.attention. Raises ValueError for other strides."""
    return _native.RowAttention(q, k, v, 0)
