"""Views as ATen reads them: a storage, sizes, strides and an offset.

An operator that is left whole and only reads needs no more of a view than that, so a chain of view
operators becomes one call, a third of the cost of one of them through the dispatcher. What somebody
may keep, return or write through stays the view that eager has: it knows its base and its version.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import fx

from ..graph.nodes import Graph, NodeKind, find_tensor, tensor_of
from ..graph.sizes import Key


class BareView(NamedTuple):
    """`size` and `strides` at `offset` elements from the first one of `anchor`."""

    anchor: fx.Node
    size: tuple[Key, ...]
    strides: tuple[Key, ...]
    offset: Key


def bare_view(graph: Graph, node: fx.Node) -> BareView | None:
    """A view as a bare one, or None for what is no view, or is more than sizes and strides."""
    if graph.kinds[node] is not NodeKind.VIEW:
        return None
    anchor = graph.anchor(node)
    if anchor is node or find_tensor(anchor) is None:
        return None
    shown, memory = tensor_of(node), tensor_of(anchor)
    if shown.kind != memory.kind or shown.kind.layout is not torch.strided:
        return None
    return BareView(anchor, shown.shape, shown.strides, shown.offset - memory.offset)
