"""Products of float32 arrays, and convolutions, in native code.

The BLAS that NumPy brings reaches half of what a processor of AMD's with AVX-512 does, and knows no
convolutions: windows would be copied into matrices for it (docs/performance.md). Knows which
products are worth it. Does not know operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gint.native.loader import load_native

_native: Any = load_native()

#: Packing a panel of columns costs as much as some ten rows of it; with few columns most lanes of a
#: register are empty.
_LEAST_ROWS, _LEAST_COLUMNS = 12, 8


class CppDense:
    """See gint.backend.protocol.DenseProducts."""

    def multiply(
        self, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> bool:
        if out.shape[-2] < _LEAST_ROWS or out.shape[-1] < _LEAST_COLUMNS:
            return False
        return _native.dense_multiply(x, w, bias, out)

    def convolve(
        self, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, out: np.ndarray,
        stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    ) -> bool:  # fmt: skip
        return _native.dense_convolve(x, w, bias, out, stride, padding, dilation)

    def convolve_channels(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray,
        stride: Sequence[int], dilation: Sequence[int],
    ) -> bool:  # fmt: skip
        return _native.dense_convolve_channels(x, kernel, bias, out, stride, dilation)
