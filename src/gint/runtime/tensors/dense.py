"""Dense products of saved functions on tensors: by the backend's own loops, where those of the BLAS
that torch is built with are slow.

Nothing is made ahead for a shape, as oneDNN makes code: a saved function's first answer is mostly
products. Knows torch's tensors. Does not know plans.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from gint.backend import registry
from gint.backend.protocol import DenseProducts

from . import blas

#: Multiplications from which on a product wins back what looking at its operands costs.
_LEAST_WORK = 1 << 18


def writing_into(name: str, atens: Callable[..., Any]) -> Callable[..., Any]:
    """What writes the product called "aten.mm.default" into `out`; `atens` does so for operands
    that have no loops, and is returned for what is no such product."""
    if name not in _WRITING or not blas.is_slow() or not registry.probe("cpp").usable:
        return atens
    dense = registry.backend("cpp").dense
    return atens if dense is None else partial(_WRITING[name], dense, atens)


def _product(
    dense: DenseProducts, atens: Callable[..., Any], x: torch.Tensor, w: torch.Tensor, *,
    out: torch.Tensor,
) -> None:  # fmt: skip
    if not _multiplied(dense, x, w, None, out):
        atens(x, w, out=out)


def _product_and(
    dense: DenseProducts, atens: Callable[..., Any], added: torch.Tensor, x: torch.Tensor,
    w: torch.Tensor, *, beta: Any = 1, alpha: Any = 1, out: torch.Tensor,
) -> None:  # fmt: skip
    is_plain = beta == 1 and alpha == 1 and added.shape == w.shape[1:]
    if not is_plain or not _multiplied(dense, x, w, added, out):
        atens(added, x, w, beta=beta, alpha=alpha, out=out)


_WRITING: dict[str, Callable[..., None]] = {
    "aten.mm.default": _product, "aten.bmm.default": _product, "aten.addmm.default": _product_and,
}  # fmt: skip


def _multiplied(
    dense: DenseProducts, x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor | None,
    out: torch.Tensor,
) -> bool:  # fmt: skip
    shape = out.shape
    if x.shape[:-1] != shape[:-1] or math.prod(shape) * x.shape[-1] < _LEAST_WORK:
        return False
    arrays = [_array(t) for t in (x, w, out)]
    added = None if bias is None else _array(bias)
    if any(a is None for a in arrays) or (bias is not None and added is None):
        return False
    return dense.multiply(arrays[0], arrays[1], added, arrays[2])  # type: ignore[arg-type]


def _array(t: torch.Tensor) -> np.ndarray | None:
    if t.dtype is not torch.float32 or t.requires_grad or t.is_neg():
        return None
    return t.numpy()
