"""Which nodes left whole write into memory that the plan gives them: a frame's, a pool's, or that
of their first argument.

Knows nodes. Does not know plans.
"""

from __future__ import annotations

import torch
from torch import fx

from gint.plan.operators import COPIES, PRODUCTS, SCATTERS, WIDENING

from .dtypes import gint_dtype
from .nodes import TensorInfo, find_tensor, tensor_of, value_of
from .sizes import symbols

_GRADIENT = "aten.embedding_dense_backward.default"
_HALF_TYPES = (torch.float16, torch.bfloat16)
_POSITIONS = (torch.int32, torch.int64)


def writes_into(node: fx.Node) -> bool:
    """Whether a node is called with memory for its result."""
    return is_product(node) or is_scatter(node) or is_copy(node)


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


def is_copy(node: fx.Node) -> bool:
    """Whether a node puts pieces together that our own loops copy: of static sizes and one type,
    neighbours in the result being neighbours in each of them."""
    if str(node.target) not in COPIES or node.kwargs:
        return False
    out = find_tensor(node)
    given = node.args[0] if isinstance(node.args[0], (list, tuple)) else [node.args[0]]
    tensors = [find_tensor(n) if isinstance(n, fx.Node) else None for n in given]
    if out is None or any(t is None for t in tensors):
        return False
    known = [out, *(t for t in tensors if t is not None)]
    alike = {t.dtype for t in known} == {out.dtype}
    static = not any(symbols((t.shape, t.strides)) for t in known)
    return alike and static and all(_is_plain(t.fake) and _goes_on(t, out) for t in known)


def _goes_on(t: TensorInfo, out: TensorInfo) -> bool:
    """Whether the dimension along which the result's elements are neighbours is the one with a
    tensor's smallest steps."""
    if len(t.shape) != len(out.shape):
        return all(size == 1 or stride == 1 for size, stride in _steps(t)[:1])
    found = [d for d, size in enumerate(t.shape) if size != 1]
    inner = min(found, key=lambda d: out.strides[d], default=None)
    return inner is None or t.strides[inner] <= min(t.strides[d] or 1 for d in found)


def _steps(t: TensorInfo) -> list[tuple[int, int]]:
    return [(n, s) for n, s in zip(t.shape[::-1], t.strides[::-1], strict=True) if n != 1]


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
