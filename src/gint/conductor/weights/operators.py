"""Products with quantised matrices and rows of them, as operators of torch's.

`torch.ops.gint.quantized_linear` and `quantized_embedding` have fake kernels, so whatever traces
torch can trace them; a plan calls the functions here themselves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from gint.quantized import format_of
from gint.runtime.tensors import quantized
from gint.runtime.tensors.entry_points import DIRECT, ROW_PRODUCTS
from gint.runtime.tensors.memory import allocate

from .matrix import QuantizedMatrix, matrix

_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def quantized_linear(
    x: torch.Tensor, bias: torch.Tensor | None, key: int, quantize_activations: bool
) -> torch.Tensor:
    """x (..., in) times the transpose of the matrix (out, in), plus bias (out), in x's type.

    Accumulated, and the bias added, in float32; what `quantize_activations` permits is said by
    gint.quantized.QuantizedProducts.multiply. Raises TypeError and ValueError for what does not
    fit, RuntimeError for a key that is none.
    """
    m = matrix(key)
    _check(x, bias, m)
    if x.requires_grad:
        x = x.detach()
    made = _empty(*x.shape[:-1], m.shape[0])
    if made.numel():
        m.multiply(x.float().contiguous().numpy(), made.numpy(), quantize_activations)
    if bias is not None:
        made += bias.detach()
    return made if x.dtype is torch.float32 else made.to(x.dtype)


def quantized_embedding(ids: torch.Tensor, key: int, dtype: torch.dtype) -> torch.Tensor:
    """Rows of the matrix: ids of any shape -> (*ids.shape, in). Raises IndexError as torch does."""
    m, numbers = matrix(key), ids.numpy()
    if numbers.size and (numbers.min() < 0 or numbers.max() >= m.shape[0]):
        raise IndexError("index out of range in self")
    rows = torch.from_numpy(m.rows(numbers))
    return rows if dtype is torch.float32 else rows.to(dtype)


def _empty(*size: int) -> torch.Tensor:
    strides = [1]
    for length in size[:0:-1]:
        strides.append(strides[-1] * max(length, 1))
    return allocate(size, tuple(reversed(strides)), torch.float32)


def _check(x: torch.Tensor, bias: torch.Tensor | None, m: QuantizedMatrix) -> None:
    if x.dtype not in _TYPES:
        raise TypeError(f"A product with {m!r} takes float32, bfloat16 or float16, not {x.dtype}.")
    if not x.dim() or x.shape[-1] != m.shape[1]:
        raise ValueError(
            f"A product with {m!r} takes x of {m.shape[1]} columns, not {tuple(x.shape)}."
        )
    if bias is not None and bias.shape != (m.shape[0],):
        raise ValueError(f"The bias of {m!r} has shape {tuple(bias.shape)}.")


# As operators


def _fake_linear(
    x: torch.Tensor, bias: torch.Tensor | None, key: int, quantize_activations: bool
) -> torch.Tensor:
    return x.new_empty(*x.shape[:-1], matrix(key).shape[0])


def _fake_embedding(ids: torch.Tensor, key: int, dtype: torch.dtype) -> torch.Tensor:
    return ids.new_empty(*ids.shape, matrix(key).shape[1], dtype=dtype)


def _no_gradients(ctx: Any, *gradients: Any) -> Any:
    raise RuntimeError(
        "Quantised weights are for inference: products with them have no gradients. Train the "
        "model with its own weights, or call it under torch.no_grad()."
    )


def _fake_linear_of_blocks(
    x: torch.Tensor, bias: torch.Tensor | None, blocks: torch.Tensor, *how: Any
) -> torch.Tensor:
    return x.new_empty(*x.shape[:-1], blocks.shape[0])


def _fake_embedding_of_blocks(
    ids: torch.Tensor, blocks: torch.Tensor, format: str, dtype: torch.dtype
) -> torch.Tensor:
    chosen = format_of(format)
    inputs = blocks.shape[1] // chosen.block_bytes * chosen.block
    return ids.new_empty(*ids.shape, inputs, dtype=dtype)


def _register() -> None:
    torch.library.define(
        "gint::quantized_linear",
        "(Tensor x, Tensor? bias, int matrix, bool quantize_activations) -> Tensor",
    )
    torch.library.define(
        "gint::quantized_embedding", "(Tensor ids, int matrix, ScalarType dtype) -> Tensor"
    )
    torch.library.define(
        "gint::quantized_linear.blocks",
        "(Tensor x, Tensor? bias, Tensor blocks, str format, bool quantize_activations) -> Tensor",
    )
    torch.library.define(
        "gint::quantized_embedding.blocks",
        "(Tensor ids, Tensor blocks, str format, ScalarType dtype) -> Tensor",
    )
    for name, function, fake in (
        ("quantized_linear", quantized_linear, _fake_linear),
        ("quantized_embedding", quantized_embedding, _fake_embedding),
        ("quantized_linear.blocks", quantized.quantized_linear, _fake_linear_of_blocks),
        ("quantized_embedding.blocks", quantized.quantized_embedding, _fake_embedding_of_blocks),
    ):
        torch.library.impl(f"gint::{name}", "cpu", function)
        torch.library.register_fake(f"gint::{name}", fake)
        packet, _, overload = name.partition(".")
        DIRECT[getattr(getattr(torch.ops.gint, packet), overload or "default")] = function
    torch.library.register_autograd("gint::quantized_linear", _no_gradients)


_register()
LINEAR = torch.ops.gint.quantized_linear.default
ROW_PRODUCTS[LINEAR] = lambda key, quantize_activations: matrix(key).native(quantize_activations)
EMBEDDING = torch.ops.gint.quantized_embedding.default
#: The same, given the matrix itself: in a saved plan.
LINEAR_OF_BLOCKS = torch.ops.gint.quantized_linear.blocks
EMBEDDING_OF_BLOCKS = torch.ops.gint.quantized_embedding.blocks


def matrix_of(node: fx.Node) -> QuantizedMatrix | None:
    """The matrix that a node multiplies with or reads rows of, or None for other nodes."""
    if node.target is LINEAR:
        return matrix(node.args[2])
    return matrix(node.args[1]) if node.target is EMBEDDING else None
