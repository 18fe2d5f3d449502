"""Modules that hold a quantised matrix in place of a weight.

They call the operators, so they run in eager torch and under any compiler; what the matrix was made
from is gone.
"""

from __future__ import annotations

from typing import Any

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


class _Plain(QuantizedLinear):
    """What most layers are: without bias, activations rounded. Dynamo checks each attribute that
    `forward` reads before every call, so those two are no attributes here, and stay as they are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return LINEAR(x, None, self.key, True)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("bias", "quantize_activations") and hasattr(self, name):
            raise AttributeError(
                f"{name} of a quantised layer that was made without bias, for rounded activations, "
                "cannot be changed: quantise the model anew."
            )
        super().__setattr__(name, value)

    def _get_name(self) -> str:
        return QuantizedLinear.__name__


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
        is_plain = held.bias is None and quantize_activations
        kind = _Plain if is_plain else QuantizedLinear
        made = kind(matrix, held.bias, quantize_activations)
    model.set_submodule(name, made)


def is_quantizable(module: nn.Module) -> bool:
    """Whether a module does what ours do, and nothing of its own beside."""
    if type(module) is nn.Embedding:
        return module.max_norm is None
    return type(module) is nn.Linear
