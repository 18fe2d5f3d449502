"""Operators of ATen's that believe what they are given: kernels behind functions that have checked
sizes before. A plan calls the kernels, and one from anywhere may give them anything; so what they
rely on is checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from gint.plan.operators import WRITES_FIRST, is_saved_operator
from gint.plan.verifier import PlanError


def checked(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The operator called "aten.mm.default" as a plan may call it. What a check raises is a
    ValueError."""
    check = _CHECKS.get(name)
    if check is None:
        return kernel

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            check(*args, **kwargs)
        except (TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{name} does not take such arguments: {error}.") from None
        return kernel(*args, **kwargs)

    return call


def refuse_writing(name: str, target: torch._ops.OpOverload) -> None:
    """Raise PlanError for an overload that writes where nobody has seen that it may."""
    if target._schema.is_mutable and is_saved_operator(name) and not name.startswith(WRITES_FIRST):
        raise PlanError(f"{name} writes into its arguments; a saved plan allocates its results.")


def _fail(name: str, *tensors: torch.Tensor) -> None:
    shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
    raise ValueError(f"{name} takes operands that fit, not those of shapes {shapes}.")


def _check_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any
) -> None:
    """Of one batch and the same heads, as many keys as values, elements of a row side by side."""
    shapes = [t.shape for t in (query, key, value)]
    are_alike = shapes[0][:2] == shapes[1][:2] == shapes[2][:2] and shapes[1][2] == shapes[2][2]
    if not are_alike:
        _fail("Attention", query, key, value)
    if any(t.stride(-1) != 1 and t.shape[-1] > 1 for t in (query, key, value)):
        raise ValueError("Attention takes operands whose last dimension lies side by side.")


def _check_lstm(
    x: torch.Tensor, w0: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor, w3: torch.Tensor,
    hidden: torch.Tensor, cell: torch.Tensor, reverse: bool, batch_sizes: Sequence[int], mode: int,
    hidden_size: int, num_layers: int, has_biases: bool, bidirectional: bool, *_: Any,
) -> None:  # fmt: skip
    """One layer in one direction, of sizes that fit."""
    if num_layers != 1 or bidirectional or len(batch_sizes) or not has_biases:
        raise ValueError("mkldnn_rnn_layer takes one layer in one direction, with biases.")
    _, batch, width = x.shape
    state, bias = (1, batch, hidden_size), (w2.shape[0],)
    gates = w2.shape[0]
    if gates != _GATES.get(mode, 0) * hidden_size:
        _fail("mkldnn_rnn_layer", w2)
    wanted = ((gates, width), (gates, hidden_size), bias, bias, state, state)
    given = (w0, w1, w2, w3, hidden, cell)
    if any(tuple(t.shape) != shape for t, shape in zip(given, wanted, strict=True)):
        _fail("mkldnn_rnn_layer", x, *given)
    if any(t.dtype != x.dtype for t in given):
        raise ValueError("mkldnn_rnn_layer takes operands of one type.")


#: By oneDNN's numbers of cells: an LSTM is all that torch keeps whole.
_GATES = {2: 4}


def _check_bags(
    weight: torch.Tensor, indices: torch.Tensor, offsets: torch.Tensor, *_: Any, **__: Any
) -> None:
    """Bags one after the other, within the positions."""
    if offsets.dim() != 1 or indices.dim() != 1:
        _fail("embedding_bag", indices, offsets)
    inner = offsets.numel() and bool((offsets.diff() < 0).any())
    if inner or (offsets.numel() and not 0 <= int(offsets[-1]) <= indices.numel()):
        raise ValueError(f"Offsets grow from 0 to {indices.numel()}, unlike {offsets.tolist()}.")


def _check_transform(x: torch.Tensor, dim: Sequence[int], *_: Any, **__: Any) -> None:
    if len(set(dim)) != len(dim) or not all(0 <= d < x.dim() for d in dim):
        raise ValueError(f"A transform is over dimensions from 0 to {x.dim() - 1}, not {dim}.")


_CHECKS: dict[str, Callable[..., None]] = {
    "aten._scaled_dot_product_flash_attention_for_cpu.default": _check_attention,
    "aten.mkldnn_rnn_layer.default": _check_lstm,
    "aten._embedding_bag.default": _check_bags,
    "aten._embedding_bag_forward_only.default": _check_bags,
    "aten._fft_c2c.default": _check_transform,
    "aten._fft_r2c.default": _check_transform,
    "aten._fft_c2r.default": _check_transform,
}
