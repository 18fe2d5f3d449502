"""Dense products of NumPy arrays on a GPU, by whichever library with a BLAS for it is at hand.

gint has no products of its own, and leaves the choice of a library to who needs one. Knows torch
and CuPy by name; imports neither unless a product is asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from gint.host.selection import Backend


def multiplier(backend: Backend) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """`a @ b` for arrays of one float type, (..., m, k) and (..., k, n), on the backend's device.

    float32 is multiplied in float32, not in TF32. None where the backend works on the host's
    memory, or no library is there.
    """
    return None if backend.memory is None else _library(backend.memory.ordinal)


@cache
def _library(ordinal: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    for name, make in (("torch", _by_torch), ("cupy", _by_cupy)):
        if importlib.util.find_spec(name) is not None and (found := make(ordinal)) is not None:
            return found
    return None


def _by_torch(ordinal: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    import torch

    if not torch.cuda.is_available():
        return None
    where, settings = torch.device("cuda", ordinal), torch.backends.cuda.matmul

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


def _by_cupy(ordinal: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    import cupy

    def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with cupy.cuda.Device(ordinal):
            return cupy.asnumpy(cupy.asarray(a) @ cupy.asarray(b))

    return multiply
