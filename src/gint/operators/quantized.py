"""Products with quantised matrices, and rows of them, by the backend that runs the programs.

A matrix (out, in) is its blocks, in one of GGUF's formats: uint8 (out, bytes of a row). What a
backend packs of a constant it packs once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from gint.host import memory
from gint.host.selection import Backend, products_for
from gint.quantized import QuantizedWeights, format_of

from .arrays import given, is_floating, widened
from .launches import active
from .packing import packed
from .registry import operator


@operator("gint.quantized_linear.blocks")
def quantized_linear(
    x: np.ndarray, bias: np.ndarray | None, blocks: np.ndarray, format: str,
    quantize_activations: bool,
) -> np.ndarray:  # fmt: skip
    """x (..., in) times the transpose of a matrix in blocks, + bias (out,), in x's type.

    Accumulated, and the bias added, in float32. `quantize_activations` permits the backend to round
    x to 8 bits. Raises TypeError for what is no x, ValueError for what does not fit.
    """
    weights = _weights(blocks, format)
    if not is_floating(x.dtype) or x.dtype == np.float64:
        raise TypeError(f"A product with {format} takes float32 or a half type, not {x.dtype}.")
    if not x.ndim or x.shape[-1] != weights.shape[1]:
        raise ValueError(
            f"A product with a matrix {weights.shape} does not take x of shape {x.shape}."
        )
    y = memory.empty((*x.shape[:-1], weights.shape[0]), np.dtype("f4"))
    if y.size:
        multiply = packed(blocks, _prepared, format, active(), quantize_activations)
        multiply(np.ascontiguousarray(widened(x)), y)
    if bias is not None:
        y += widened(bias)
    return given(None, y, x.dtype)


@operator("gint.quantized_embedding.blocks")
def quantized_embedding(
    ids: np.ndarray, blocks: np.ndarray, format: str, dtype: np.dtype
) -> np.ndarray:
    """Rows of a matrix in blocks: integers of any shape -> (..., in). Raises IndexError."""
    weights = _weights(blocks, format)
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < weights.shape[0]:
        raise IndexError("index out of range in self")
    return weights.rows(ids).astype(dtype, copy=False)


def _weights(blocks: np.ndarray, format: str) -> QuantizedWeights:
    """Raises ValueError for a format that is none, or an array that is not in it."""
    chosen = format_of(format)
    if blocks.dtype != np.uint8 or blocks.ndim != 2 or blocks.shape[1] % chosen.block_bytes:
        raise ValueError(
            f"A matrix in {format} is uint8 (out, a multiple of {chosen.block_bytes}), not "
            f"{blocks.dtype} {blocks.shape}."
        )
    inputs = blocks.shape[1] // chosen.block_bytes * chosen.block
    return QuantizedWeights(np.ascontiguousarray(blocks), (blocks.shape[0], inputs), chosen)


def _prepared(
    blocks: np.ndarray, format: str, backend: Backend, quantize_activations: bool
) -> Callable[[np.ndarray, np.ndarray], None]:
    """(x, y): y <- the product, for float32 arrays without gaps."""
    products = products_for(backend)
    ready = products.prepare(_weights(blocks, format))
    if products.bind is not None and hasattr(ready, "recall_key"):
        bound = products.bind(ready, quantize_activations)
        return lambda x, y: bound(x, ready, y)
    inputs, outputs = ready.shape[1], ready.shape[0]
    multiply = partial(products.multiply, quantize_activations=quantize_activations)
    return lambda x, y: multiply(x.reshape(-1, inputs), ready, y.reshape(-1, outputs))
