"""Results that are views of inputs which a graph writes.

AOTAutograd makes them anew from the input, by the geometry of what the graph returns. Where a view
depends on symbolic sizes it takes the offset from there too, which is that of a new value in a
storage of its own, and not where the input lies in its storage. So the graph returns views of the
input itself.

Knows graphs of AOTAutograd's. Does not know what becomes of them.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx
from torch._guards import TracingContext


def view_written_inputs(graph: fx.Graph) -> None:
    """Have results that AOTAutograd will make from an input be views of it, not of the value that
    is copied into it."""
    context = TracingContext.try_get()
    about = context.fw_metadata if context is not None else None
    if about is None:
        return
    inputs, output = graph.find_nodes(op="placeholder"), graph.output_node()
    results, first = list(output.args[0]), about.num_mutated_inp_runtime_indices
    changed = dict(zip(about.mutated_inp_runtime_indices, results, strict=False))
    for n, info in enumerate(about.output_info, first):
        if info.output_type.name == "alias_of_input" and info.base_idx < len(inputs):
            given = inputs[info.base_idx]
            value = changed.get(info.base_idx) or _copied_into(given)
            views = _views_between(value, results[n])
            if views:
                results[n] = _replayed(views, value, given, output) or results[n]
    output.args = (type(output.args[0])(results),)


def _copied_into(given: fx.Node) -> fx.Node | None:
    copies = (n for n in given.users if n.target is torch.ops.aten.copy_.default)
    return next((n.args[1] for n in copies if n.args[0] is given), None)


def _views_between(value: fx.Node | None, result: Any) -> list[fx.Node]:
    """The views that lead from a value to a result, in order; none where another one does."""
    views: list[fx.Node] = []
    node = result
    while value is not None and isinstance(node, fx.Node) and node is not value:
        if not (node.target is operator.getitem or getattr(node.target, "is_view", False)):
            return []
        views.append(node)
        node = node.args[0]
    return views[::-1] if node is value else []


def _replayed(
    views: list[fx.Node], value: fx.Node, given: fx.Node, output: fx.Node
) -> fx.Node | None:
    """The last of the same views of `given`; None where its strides do not allow them."""
    made = {value: given}
    with output.graph.inserting_before(output):
        for view in views:
            copied = output.graph.node_copy(view, lambda n: made.get(n, n))
            args, options = fx.map_arg((copied.args, copied.kwargs), lambda n: n.meta["val"])
            try:
                with given.meta["val"].fake_mode:
                    copied.meta["val"] = copied.target(*args, **options)
            except RuntimeError:
                return None
            made[view] = copied
    return made[views[-1]]
