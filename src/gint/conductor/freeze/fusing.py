"""Products and convolutions by oneDNN, on packed weights, with what follows them.

What is done to a result before anything else uses it becomes a post-operation of oneDNN's: it is
done while the result is in registers. Followed are the addition of another tensor of the same
layout, and activations that treat NaN and infinities as eager does: oneDNN's relu and clamp make
numbers of NaN.

Knows graphs of ATen operators whose constants are folded, and torch's operators on oneDNN. Does not
know how they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import fx

from gint.runtime.tensors import products

from ..graph.nodes import find_tensor, tensor_of
from ..graph.sizes import Key, hint
from .channels import VIEWS, Product, only_user, product_of
from .folding import Constants

aten = torch.ops.aten

#: A convolution on packed weights begins later than ATen's, which has smaller ones done by then.
_LEAST_WORK = 1 << 20


class Post(NamedTuple):
    """An activation in oneDNN's terms."""

    name: str = "none"
    scalars: tuple[float | None, ...] = ()
    algorithm: str = ""


class Following(NamedTuple):
    """What follows a product: the nodes, the activation at their end, and the tensor one adds."""

    path: tuple[fx.Node, ...] = ()
    post: Post = Post()
    other: fx.Node | None = None


def fuse(constants: Constants) -> None:
    """Change a graph whose constants are folded."""
    for node in list(constants.graph.nodes):
        product = product_of(node, constants) if node.op == "call_function" else None
        if product is None:
            continue
        if product.channels == 1 and _suits_convolution(product):
            _convolution(product, constants)
        elif product.channels == -1 and _suits_product(product):
            _linear(product, constants)


# What suits


def _suits_convolution(product: Product) -> bool:
    source, result = tensor_of(product.node.args[0]), tensor_of(product.node)
    return (
        product.weight.dim() in (4, 5)
        and source.fake.device.type == "cpu"
        and source.dtype is torch.float32
        and _is_channels_last(source.shape, source.strides)
        and _is_channels_last(result.shape, result.strides)
        and _multiplications(product) >= _LEAST_WORK
    )


def _multiplications(product: Product) -> int:
    """Of a convolution: an element of the result takes as many as an output channel has weights."""
    size = 1
    for n in tensor_of(product.node).fake.shape:
        size *= hint(n)
    return size * (product.weight.numel() // product.width)


def _is_channels_last(shape: tuple[Key, ...], strides: tuple[Key, ...]) -> bool:
    """Whether a batch lies in memory position by position, a position's channels together."""
    step, wanted = shape[1], [0] * len(shape)
    wanted[1] = 1
    for d in range(len(shape) - 1, 1, -1):
        wanted[d], step = step, step * shape[d]
    wanted[0] = step
    return tuple(wanted) == tuple(strides) and 0 not in shape


def _suits_product(product: Product) -> bool:
    if not products.is_faster():
        return False
    result, left = tensor_of(product.node), product.node.args[-2]
    depth = product.weight.shape[0]
    rows = hint(result.fake.shape[0])
    is_matrix = left.meta["val"].device.type == "cpu" and result.strides[1] == 1
    return is_matrix and products.is_worth(rows, product.width, depth)


# What follows


def _following(node: fx.Node) -> Following:
    """What follows a product's node and can be done with it; views of a matrix are passed."""
    path: list[fx.Node] = []
    current = node
    while (user := only_user(current)) is not None and user.target in VIEWS:
        path.append(user)
        current = user
    if user is None:
        return Following()
    is_convolution = node.target is aten.convolution.default
    post = _activation(user, current)
    if post is not None and not (is_convolution and post in _NOT_AFTER_CONVOLUTION):
        return Following((*path, user), post)
    other = _added(user, current)
    # Another tensor is brought into a matrix's shape, which has to be known for that.
    is_known = all(isinstance(n, int) for n in tensor_of(node).shape) or not path
    if other is None or not is_known:
        return Following()
    return Following((*path, user), Post(), other)


def _activation(user: fx.Node, current: fx.Node) -> Post | None:
    if user.target not in _ACTIVATIONS or user.args[0] is not current:
        return None
    return _ACTIVATIONS[user.target](user)


def _gelu(node: fx.Node) -> Post:
    return Post("gelu", (), node.kwargs.get("approximate", "none"))


def _leaky_relu(node: fx.Node) -> Post | None:
    slope = node.args[1] if len(node.args) > 1 else 0.01
    return Post("leaky_relu", (slope,)) if isinstance(slope, (int, float)) else None


_ACTIVATIONS: dict[Any, Callable[[fx.Node], Post | None]] = {
    aten.sigmoid.default: lambda node: Post("sigmoid"),
    aten.tanh.default: lambda node: Post("tanh"),
    aten.silu.default: lambda node: Post("swish"),
    aten.gelu.default: _gelu,
    aten.leaky_relu.default: _leaky_relu,
}
#: Of an infinity it makes NaN there.
_NOT_AFTER_CONVOLUTION = (Post("gelu", (), "none"),)


def _added(user: fx.Node, current: fx.Node) -> fx.Node | None:
    """The tensor that an addition adds to `current`, if it is of the same layout. It is there where
    the addition is, and cannot depend on what nothing else uses."""
    if user.target is not aten.add.Tensor or user.kwargs or len(user.args) != 2:
        return None
    first, second = user.args
    other = second if first is current else first
    added = find_tensor(other) if isinstance(other, fx.Node) and other is not current else None
    mine = tensor_of(current)
    if added is None or added.dtype is not torch.float32:
        return None
    return other if (added.shape, added.strides) == (mine.shape, mine.strides) else None


# Changing the graph


def _convolution(product: Product, constants: Constants) -> None:
    node = product.node
    x, _, bias, stride, padding, dilation, _, _, groups = node.args
    found = _following(node)
    size = tensor_of(x).shape
    is_static = all(isinstance(n, int) for n in size)
    packed = torch.ops.mkldnn._reorder_convolution_weight(
        product.weight, padding, stride, dilation, groups, list(size) if is_static else None
    )
    weight = constants.add(packed, None, node)
    where = (padding, stride, dilation, groups)
    if found.other is None:
        target = torch.ops.mkldnn._convolution_pointwise.default
        how = (found.post.name, list(found.post.scalars), found.post.algorithm)
        args: tuple = (x, weight, bias, *where, *how)
    else:
        target = torch.ops.mkldnn._convolution_pointwise.binary
        args = (x, found.other, weight, bias, *where, "add", 1.0, None, [], None)
    _put(node, found.path, target, args, constants.graph)


def _linear(product: Product, constants: Constants) -> None:
    node, graph = product.node, constants.graph
    left = node.args[-2]
    bias = node.args[0] if node.target is aten.addmm.default else None
    found = _following(node)
    rows = tensor_of(node).shape[0]
    packed = torch.ops.mkldnn._reorder_linear_weight(
        product.weight.t().contiguous(), rows if isinstance(rows, int) else None
    )
    weight = constants.add(packed, None, node)
    if found.other is None:
        target = torch.ops.mkldnn._linear_pointwise.default
        how = (found.post.name, list(found.post.scalars), found.post.algorithm)
        _put(node, found.path, target, (left, weight, bias, *how), graph)
        return
    with graph.inserting_before(found.path[-1]):
        other = graph.call_function(aten.view.default, (found.other, list(tensor_of(node).shape)))
    other.meta["val"] = node.meta["val"]
    target = torch.ops.mkldnn._linear_pointwise.binary
    _put(node, found.path, target, (left, other, weight, bias, "add"), graph)


def _put(
    node: fx.Node, path: tuple[fx.Node, ...], target: Any, args: tuple, graph: fx.Graph
) -> None:
    """Compute by `target` what a product's node and those on the path after it compute."""
    last = path[-1] if path else node
    with graph.inserting_before(last):
        made = graph.call_function(target, args)
        made.meta["val"] = node.meta["val"]
        shown = _viewed(graph, made, path)
    last.replace_all_uses_with(shown)
    for old in (*reversed(path), node):
        graph.erase_node(old)


def _viewed(graph: fx.Graph, node: fx.Node, path: tuple[fx.Node, ...]) -> fx.Node:
    """A value in the shape that the last view on a path has."""
    views = [n for n in path if n.target in VIEWS]
    if not views:
        return node
    view = graph.call_function(views[-1].target, (node, *views[-1].args[1:]))
    view.meta["val"] = views[-1].meta["val"]
    return view
