"""Inputs made attributes, and operators on constants alone computed.

Knows graphs of ATen operators, and tensors. Does not know where a graph came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import fx
from torch.utils._pytree import tree_any

from ..graph.views import is_view

#: Results may be so much larger than what they are computed from: folding is to save memory's way.
_MOST_GROWTH = 2


class Constants:
    """The attributes of a graph that are constant, by node; new ones get a place in the module."""

    def __init__(self, module: fx.GraphModule) -> None:
        self.module, self.graph = module, module.graph
        self.values: dict[fx.Node, torch.Tensor] = {}

    def add(self, tensor: torch.Tensor, fake: Any, before: fx.Node) -> fx.Node:
        """An attribute that holds a tensor; `fake` is what the graph is told of it, None of a
        tensor in a format of its own."""
        name = f"frozen_{len(self.values)}"
        self.module.register_buffer(name, tensor, persistent=False)
        with self.graph.inserting_before(before):
            node = self.graph.get_attr(name)
        node.meta["val"] = fake
        self.values[node] = tensor
        return node

    def find(self, node: Any) -> torch.Tensor | None:
        """The tensor that an attribute holds; None for any other argument."""
        return self.values.get(node) if isinstance(node, fx.Node) else None


def fold(module: fx.GraphModule, given: Mapping[int, torch.Tensor]) -> Constants:
    """Make attributes of the inputs at these positions, which hold these tensors from then on, and
    of what is computed from them alone."""
    constants = Constants(module)
    placeholders = [n for n in module.graph.nodes if n.op == "placeholder"]
    first = next(n for n in module.graph.nodes if n.op != "placeholder")
    for position, tensor in given.items():
        node = placeholders[position]
        held = constants.add(tensor.detach(), node.meta["val"], first)
        node.replace_all_uses_with(held)
        module.graph.erase_node(node)
    for node in list(module.graph.nodes):
        if _is_constant(node, constants) and not _is_returned_view(node):
            _compute(node, constants)
    return constants


def _is_returned_view(node: fx.Node) -> bool:
    """Whether a graph returns this view, or a view of it. It stays one, so that what is returned
    of one constant shares memory, as it does in eager."""
    if not is_view(node.target):
        return False
    return any(user.op == "output" or _is_returned_view(user) for user in node.users)


def return_copies(constants: Constants, given: Iterable[torch.Tensor]) -> None:
    """Where a graph returns what was computed from constants, it returns a copy: the caller may
    write into it. What lies in the memory of those that were given is theirs, and stays."""
    theirs = {t.untyped_storage()._cdata for t in given}
    output = next(n for n in reversed(constants.graph.nodes) if n.op == "output")
    copies: dict[fx.Node, fx.Node] = {}
    for node in output.all_input_nodes:
        user, source = output, node
        while source.op == "call_function" and is_view(source.target):
            user, source = source, source.args[0]
        value = constants.find(source)
        if value is None or value.untyped_storage()._cdata in theirs:
            continue
        if source not in copies:
            with constants.graph.inserting_after(source):
                copied = constants.graph.call_function(torch.ops.aten.clone.default, (source,))
            copied.meta["val"] = source.meta["val"]
            copies[source] = copied
        user.replace_input_with(source, copies[source])


def _is_constant(node: fx.Node, constants: Constants) -> bool:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    sources = node.all_input_nodes
    if not sources or any(n not in constants.values for n in sources):
        return False
    if node.target._schema.is_mutable or torch.Tag.nondeterministic_seeded in node.target.tags:
        return False
    has_symbols = tree_any(lambda a: isinstance(a, (torch.SymInt, torch.SymFloat)), node.args)
    return isinstance(node.meta.get("val"), torch.Tensor) and not has_symbols


def _compute(node: fx.Node, constants: Constants) -> None:
    fake, before = node.meta["val"], sum(constants.values[n].numel() for n in node.all_input_nodes)
    if fake.numel() > _MOST_GROWTH * max(before, 1):
        return
    args, kwargs = fx.map_arg((node.args, node.kwargs), constants.values.__getitem__)
    with torch.no_grad(), torch.inference_mode(False):
        made = node.target(*args, **kwargs)
    if (made.shape, made.stride(), made.dtype) != (fake.shape, fake.stride(), fake.dtype):
        return
    node.replace_all_uses_with(constants.add(made, fake, node))
    constants.graph.erase_node(node)
