"""Which nodes left whole write into memory that the plan gives them: a frame's, a pool's, or that
of their first argument.

Knows nodes. Does not know plans.
"""

from __future__ import annotations

import torch
from torch import fx

from gint.plan.operators import PRODUCTS, SCATTERS, WIDENING

from .dtypes import gint_dtype
from .nodes import find_tensor, tensor_of, value_of
from .sizes import symbols

_GRADIENT = "aten.embedding_dense_backward.default"
_HALF_TYPES = (torch.float16, torch.bfloat16)
_POSITIONS = (torch.int32, torch.int64)


def writes_into(node: fx.Node) -> bool:
    """Whether a node is called with memory for its result."""
    return is_product(node) or is_scatter(node)


def is_product(node: fx.Node) -> bool:
    if str(node.target) not in PRODUCTS or node.kwargs:
        return False
    tensor = tensor_of(node)
    return tensor.device.type == "cpu" and not symbols((tensor.shape, tensor.strides))


def is_scatter(node: fx.Node) -> bool:
    """Whether a node writes where positions say, in what our own kernel computes with. Masks are
    no positions."""
    name = str(node.target)
    if name not in SCATTERS or (name in WIDENING and value_of(node).dtype in _HALF_TYPES):
        return False
    tensors = [t for n in (node, *node.all_input_nodes) if (t := find_tensor(n)) is not None]
    return all(_is_plain(t.fake) for t in tensors) and all(
        t.fake.dtype in _POSITIONS for n in _positions(node) if (t := find_tensor(n)) is not None
    )


def changed(node: fx.Node) -> fx.Node | None:
    """The value of which the result of a scatter or a write is a copy, but for what it writes;
    None: zeros."""
    return None if str(node.target) == _GRADIENT else node.args[0]


def _is_plain(fake: torch.Tensor) -> bool:
    on_cpu = fake.device.type == "cpu" and fake.layout is torch.strided
    return on_cpu and gint_dtype(fake.dtype) is not None and not fake.is_neg()


def _positions(node: fx.Node) -> list[fx.Node]:
    name = str(node.target)
    if name == _GRADIENT:
        return [node.args[1]]
    if "index_put" in name:
        return [n for n in node.args[1] if n is not None]
    return [node.args[2] if len(node.args) > 2 else node.kwargs["index"]]
