"""Attention whose keys and values are repeated, a head for each of several queries' heads: it reads
those of the one head instead.

Models that group heads repeat them (`repeat_interleave`, or `expand` and `reshape`) wherever a mask
is given: a copy of the cache, as often as heads share it. The operator shares them by itself.

Knows FX nodes and their shapes. Does not know what becomes of an operator.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from .nodes import find_tensor
from .sizes import Key

aten = torch.ops.aten

_ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu.default
_RESHAPES = (aten._unsafe_view.default, aten.view.default)


def share_heads(graph: fx.Graph) -> None:
    """Let attention read the heads that were repeated for it alone."""
    found = False
    for node in graph.nodes:
        if node.target is not _ATTENTION:
            continue
        query, key, value, *rest = node.args
        heads, shared = _repeated(key), _repeated(value)
        if heads is None or shared is None or _shape(heads)[:2] != _shape(shared)[:2]:
            continue
        node.args = (query, heads, shared, *rest)
        found = True
    if found:
        graph.eliminate_dead_code()


def _repeated(node: fx.Node) -> fx.Node | None:
    """The tensor (batch, heads, rows, size) whose heads these are, each several times in a row;
    None where they are none, or somebody else reads them."""
    copy = _made_of(node, _RESHAPES)
    expanded = _made_of(copy, (aten.clone.default,))
    grouped = _made_of(expanded, (aten.expand.default,))
    while (whole := _made_of(grouped, (aten.slice.Tensor,))) and _shape(whole) == _shape(grouped):
        grouped = whole
    base = _made_of(grouped, (aten.unsqueeze.default,))
    if base is None or expanded is None or len(_shape(base)) != 4:
        return None
    batch, heads, *row = _shape(base)
    times = _shape(expanded)[2]
    if not isinstance(heads, int) or not isinstance(times, int):
        return None
    # The new dimension is behind the heads: there it is 1 long where nobody else is.
    fits = _shape(grouped) == (batch, heads, 1, *row) and _shape(expanded) == (
        batch, heads, times, *row
    )  # fmt: skip
    return base if fits and _shape(node) == (batch, heads * times, *row) else None


def _made_of(node: fx.Node | None, targets: tuple[Any, ...]) -> fx.Node | None:
    """What such a node, which has one user, is made of."""
    if node is None or node.target not in targets or len(node.users) != 1:
        return None
    return node.args[0] if isinstance(node.args[0], fx.Node) else None


def _shape(node: fx.Node | None) -> tuple[Key, ...]:
    tensor = find_tensor(node) if node is not None else None
    return tensor.shape if tensor else ()
