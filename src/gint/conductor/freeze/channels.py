"""Factors and terms per channel made part of a product's weight and bias.

What follows a convolution or a linear layer and is the same factor or the same term for all of a
channel, as batch norm in evaluation is, changes the weight and the bias instead of the result. The
new ones are computed in float64 and rounded once.

Knows graphs of ATen operators whose constants are folded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import fx

from ..graph.nodes import find_tensor
from .folding import Constants

aten = torch.ops.aten

#: Views that keep a matrix's elements in order.
VIEWS = (aten.view.default, aten._unsafe_view.default)


class Product(NamedTuple):
    """A convolution or a product with a constant matrix. `channels` is the dimension of the result
    that they run along, `rows` that of the weight."""

    node: fx.Node
    weight: torch.Tensor
    bias: torch.Tensor | None
    channels: int
    rows: int

    @property
    def width(self) -> int:
        return self.weight.shape[self.rows]


def product_of(node: fx.Node, constants: Constants) -> Product | None:
    """The node as a product with constants in float32, or None for any other."""
    found = None
    if node.target is aten.convolution.default and node.args[6] is False:
        found = node.args[1], node.args[2], 1, 0
    elif node.target is aten.mm.default:
        found = node.args[1], None, -1, 1
    elif node.target is aten.addmm.default and not node.kwargs:
        found = node.args[2], node.args[0], -1, 1
    if found is None:
        return None
    weight, bias = constants.find(found[0]), constants.find(found[1])
    if weight is None or weight.dtype is not torch.float32 or weight.layout is not torch.strided:
        return None
    if found[1] is not None and (bias is None or bias.shape != (weight.shape[found[3]],)):
        return None
    return Product(node, weight, bias, *found[2:])


def fold_channels(constants: Constants) -> None:
    """Change all products of a graph that something per channel follows."""
    for node in list(constants.graph.nodes):
        product = product_of(node, constants) if node.op == "call_function" else None
        if product is not None:
            _fold(product, constants)


def only_user(node: fx.Node) -> fx.Node | None:
    """The one node that uses this one, once; views are steps on the way."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].op == "call_function" else None


def _fold(product: Product, constants: Constants) -> None:
    factor = torch.ones(product.width, dtype=torch.float64)
    term = torch.zeros(product.width, dtype=torch.float64)
    if product.bias is not None:
        term += product.bias
    current, changed = product.node, []
    while (user := only_user(current)) is not None:
        if user.target not in VIEWS:
            found = _per_channel(user, current, product, constants)
            if found is None:
                break
            factor, term = factor * found[0], term * found[0] + found[1]
            changed.append((user, current))
        elif not _keeps_channels(user, product):
            break
        current = user
    if not changed or not bool(torch.isfinite(factor).all()):
        return
    for user, before in reversed(changed):
        user.replace_all_uses_with(before)
        constants.graph.erase_node(user)
    _replace(product, factor, term, constants)


def _keeps_channels(view: fx.Node, product: Product) -> bool:
    """Whether a view of a matrix is one of its rows alone."""
    tensor = find_tensor(view)
    is_matrix = product.channels == -1
    return is_matrix and tensor is not None and tensor.shape[-1:] == (product.width,)


def _per_channel(
    user: fx.Node, current: fx.Node, product: Product, constants: Constants
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """What an operator multiplies with and adds, or None for one that does something else."""
    if user.target not in _AFFINE or user.kwargs or len(user.args) != 2:
        return None
    result, source = find_tensor(user), find_tensor(current)
    if result is None or source is None or result.dtype is not torch.float32:
        return None
    if (result.shape, result.strides) != (source.shape, source.strides):
        return None
    is_first = user.args[0] is current
    other = _values(user.args[1 if is_first else 0], product, len(source.shape), constants)
    return None if other is None else _AFFINE[user.target](other, is_first)


def _values(
    argument: Any, product: Product, dims: int, constants: Constants
) -> torch.Tensor | None:
    """A number or a constant as a value per channel, or None."""
    if isinstance(argument, (int, float)) and not isinstance(argument, bool):
        return torch.full((product.width,), float(argument), dtype=torch.float64)
    found = constants.find(argument)
    if found is None or not found.dtype.is_floating_point or found.dim() > dims:
        return None
    shape = [1] * (dims - found.dim()) + list(found.shape)
    wanted = [1] * dims
    if found.numel() != 1:
        wanted[product.channels] = product.width
    return found.double().reshape(-1).expand(product.width) if shape == wanted else None


def _multiply(other: torch.Tensor, is_first: bool) -> tuple[torch.Tensor, torch.Tensor]:
    return other, torch.zeros_like(other)


def _divide(other: torch.Tensor, is_first: bool) -> tuple[torch.Tensor, torch.Tensor] | None:
    return (1 / other, torch.zeros_like(other)) if is_first else None


def _add(other: torch.Tensor, is_first: bool) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones_like(other), other


def _subtract(other: torch.Tensor, is_first: bool) -> tuple[torch.Tensor, torch.Tensor]:
    one = torch.ones_like(other)
    return (one, -other) if is_first else (-one, other)


_AFFINE: dict[Any, Any] = {
    aten.mul.Tensor: _multiply, aten.div.Tensor: _divide, aten.add.Tensor: _add,
    aten.sub.Tensor: _subtract,
}  # fmt: skip


def _replace(
    product: Product, factor: torch.Tensor, term: torch.Tensor, constants: Constants
) -> None:
    node = product.node
    shape = [1] * product.weight.dim()
    shape[product.rows] = product.width
    changed = torch.empty_like(product.weight)
    changed.copy_(product.weight.double() * factor.reshape(shape))
    is_convolution = node.target is aten.convolution.default
    old = node.args[{aten.convolution.default: 1, aten.mm.default: 1}.get(node.target, 2)]
    weight = constants.add(changed, old.meta["val"], node)
    with node.meta["val"].fake_mode:
        fake = torch.empty(product.width)
    bias = constants.add(term.float(), fake, node)
    if is_convolution:
        node.args = (node.args[0], weight, bias, *node.args[3:])
        return
    left = node.args[0] if node.target is aten.mm.default else node.args[1]
    node.target, node.args = aten.addmm.default, (bias, left, weight)
