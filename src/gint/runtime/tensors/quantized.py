"""The operators of gint's own on torch tensors: by the functions that stand for them on arrays."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch

from gint.operators import OPERATORS

_linear = OPERATORS["gint.quantized_linear.blocks"]
_embedding = OPERATORS["gint.quantized_embedding.blocks"]
#: id of a tensor of blocks -> the tensor, its version then, and the array of its memory: what is
#: packed of a matrix is kept with its array.
_arrays: dict[int, tuple[weakref.ref, int, np.ndarray]] = {}


def quantized_linear(
    x: torch.Tensor, bias: torch.Tensor | None, blocks: torch.Tensor, format: str,
    quantize_activations: bool,
) -> torch.Tensor:  # fmt: skip
    """See gint.operators.quantized; x is float32, bfloat16 or float16."""
    if x.dtype in (torch.bfloat16, torch.float16):  # the former NumPy has not
        return quantized_linear(
            x.float(), None if bias is None else bias.float(), blocks, format, quantize_activations
        ).to(x.dtype)
    given = None if bias is None else bias.detach().numpy()
    y = _linear(x.detach().numpy(), given, _array(blocks), format, quantize_activations)
    return torch.from_numpy(y)


def quantized_embedding(
    ids: torch.Tensor, blocks: torch.Tensor, format: str, dtype: torch.dtype
) -> torch.Tensor:
    """See gint.operators.quantized."""
    rows = _embedding(ids.numpy(), _array(blocks), format, np.dtype("f4"))
    return torch.from_numpy(rows).to(dtype)


def _array(blocks: torch.Tensor) -> np.ndarray:
    key, version = id(blocks), 0 if blocks.is_inference() else blocks._version
    found = _arrays.get(key)
    if found is not None and found[0]() is blocks and found[1] == version:
        return found[2]
    array = blocks.numpy()
    array.flags.writeable = False
    owner = weakref.ref(blocks, lambda _: _arrays.pop(key, None))
    _arrays[key] = owner, version, array
    return array


#: Overloads of operators of gint's -> the functions behind them.
OWN: dict[str, Any] = {
    "gint.quantized_linear.blocks": quantized_linear,
    "gint.quantized_embedding.blocks": quantized_embedding,
}
