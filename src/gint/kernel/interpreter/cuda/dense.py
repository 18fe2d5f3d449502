"""Dense products of NumPy arrays by cuBLAS, through whichever library that has it is at hand.

Knows torch and CuPy by name; imports neither unless a product is asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .driver import default_ordinal


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` for arrays of one float type, (..., m, k) and (..., k, n); NumPy's own product where
    no library is there. float32 is multiplied in float32, not in TF32."""
    multiply = _library()
    return a @ b if multiply is None else multiply(a, b)


@cache
def _library() -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    for name, make in (("torch", _by_torch), ("cupy", _by_cupy)):
        if importlib.util.find_spec(name) is not None and (found := make()) is not None:
            return found
    return None


def _by_torch() -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    import torch

    if not torch.cuda.is_available():
        return None
    where, settings = torch.device("cuda", default_ordinal()), torch.backends.cuda.matmul

    def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        # Not `allow_tf32`, which cannot be read where somebody has set this.
        before, settings.fp32_precision = settings.fp32_precision, "ieee"
        try:
            product = _tensor(a) @ _tensor(b)
        finally:
            settings.fp32_precision = before
        return product.cpu().numpy()

    def _tensor(array: np.ndarray) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array)).to(where)

    return multiply


def _by_cupy() -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    import cupy

    def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with cupy.cuda.Device(default_ordinal()):
            return cupy.asnumpy(cupy.asarray(a) @ cupy.asarray(b))

    return multiply
