"""Modules that hold a quantised matrix in place of a weight.

They call the operators, so they run in eager torch and under any compiler; what the matrix was made
from is gone.
"""

from __future__ import annotations

import torch
from torch import nn

from .matrix import QuantizedMatrix
from .operators import EMBEDDING, LINEAR


class QuantizedLinear(nn.Module):
    """x (..., in) -> (..., out) in x's type, by a matrix (out, in). For inference."""

    def __init__(
        self, matrix: QuantizedMatrix, bias: torch.Tensor | None, quantize_activations: bool
    ) -> None:
        super().__init__()
        self.matrix, self.key = matrix.for_products(), matrix.key
        self.out_features, self.in_features = matrix.shape
        self.quantize_activations = quantize_activations
        self.register_parameter(
            "bias", None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return LINEAR(x, self.bias, self.key, self.quantize_activations)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, {self.matrix.format.name}"


class QuantizedEmbedding(nn.Module):
    """Integers of any shape -> rows of the matrix (out, in), (..., in) of `dtype`."""

    def __init__(self, matrix: QuantizedMatrix, dtype: torch.dtype) -> None:
        super().__init__()
        self.matrix, self.key, self.dtype = matrix.for_rows(), matrix.key, dtype
        self.num_embeddings, self.embedding_dim = matrix.shape

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return EMBEDDING(ids, self.key, self.dtype)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}, {self.matrix.format.name}"


def put_in_place(
    model: nn.Module, name: str, matrix: QuantizedMatrix, quantize_activations: bool = True
) -> None:
    """Put a quantised module where the model has a Linear or an Embedding of that name."""
    held = model.get_submodule(name)
    if isinstance(held, nn.Embedding):
        made: nn.Module = QuantizedEmbedding(matrix, held.weight.dtype)
    else:
        assert isinstance(held, nn.Linear)
        made = QuantizedLinear(matrix, held.bias, quantize_activations)
    model.set_submodule(name, made)


def is_quantizable(module: nn.Module) -> bool:
    """Whether a module does what ours do, and nothing of its own beside."""
    if type(module) is nn.Embedding:
        return module.max_norm is None
    return type(module) is nn.Linear
