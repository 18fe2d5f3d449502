"""Equal layers of a model, emitted once.

What emission makes of values depends on what they are made of, down to what is loaded, and on
nothing else (`rules.looks_beyond` says of which operators that is not so). Of that a key is made:
equal keys, equal programs, whose slots show the nodes that stand in the same places.

Knows FX nodes. Does not know how values are lowered.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import torch
from torch import fx

from ..graph.arguments import argument_key
from ..graph.nodes import Graph, NodeKind, TensorInfo, find_tensor, tensor_of, value_of
from ..lowering.emitted import Emitted, SlotSource
from ..lowering.emitter import BlockedError, UnfitError, emit
from ..lowering.rules import looks_beyond

#: Values that are made of more nodes are emitted each time.
_MOST_NODES = 256
#: Stands for a node among arguments.
_OPERAND = object()
#: No token: emission looks further than to what is loaded.
_BEYOND = 0
_NOTHING: list[fx.Node] = []
_WITHOUT_MEMORY = (NodeKind.SCALAR, NodeKind.TUPLE)
_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


class _Known(NamedTuple):
    """What emission made of a key, and the nodes it was made for, in the key's order."""

    made: Emitted | UnfitError | BlockedError
    nodes: list[fx.Node]

    def at(self, nodes: list[fx.Node], members: list[fx.Node]) -> Emitted:
        """The same for an equal layer, of these nodes. Raises UnfitError, BlockedError."""
        there = dict(zip(self.nodes, nodes, strict=True))
        made = self.made
        if isinstance(made, BlockedError):
            raise BlockedError(there[made.node])
        if isinstance(made, UnfitError):
            raise UnfitError(*made.args)
        slots = tuple([
            SlotSource(there[s.node], there[s.anchor], s.strides, s.offset) for s in made.slots
        ])  # fmt: skip
        return Emitted(made.recording, slots, members, tuple([there[n] for n in made.outputs]))


class Layers:
    """What has been emitted of a graph. `stored` are the nodes that programs store; they may
    become more."""

    def __init__(self, graph: Graph, stored: set[fx.Node], max_slots: int) -> None:
        self.graph, self.stored, self.max_slots = graph, stored, max_slots
        self._known: dict[Hashable, _Known] = {}
        self._tokens: dict[Hashable, int] = {}
        self._bases: dict[fx.Node, fx.Node] = {}
        #: Bases that are in memory before any program runs, or are left whole.
        self._given: set[fx.Node] = set()
        self._computed: dict[fx.Node, tuple[int, list[fx.Node]]] = {}
        self._loaded: dict[fx.Node, tuple[int, fx.Node]] = {}

    def emit(self, members: list[fx.Node], outputs: list[fx.Node]) -> Emitted:
        """As `lowering.emitter.emit`."""
        found = self._key(members)
        if found is None:
            return emit(self.graph, self.stored, members, outputs, self.max_slots)
        key, nodes = found
        key = (key, tuple([n in outputs for n in members]))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._emit(members, outputs, nodes)
        return known.at(nodes, members)

    def _emit(self, members: list[fx.Node], outputs: list[fx.Node], nodes: list[fx.Node]) -> _Known:
        try:
            made = emit(self.graph, self.stored, members, outputs, self.max_slots)
        except UnfitError as error:
            return _Known(error.with_traceback(None), nodes)
        except BlockedError as error:
            if error.node not in nodes:
                raise
            return _Known(error.with_traceback(None), nodes)
        return _Known(made, nodes)

    # Keys

    def _key(self, members: list[fx.Node]) -> tuple[Hashable, list[fx.Node]] | None:
        """What members are made of, as numbers, and the nodes that stand for some of these; None
        where there is too much, or where emission looks beyond it.

        Of each node that comes first there is its token, which tells how many operands follow, of
        others their place; of what is loaded also the places of its memory.
        """
        key: list[int] = []
        values: dict[fx.Node, int] = {}
        memory: dict[fx.Node, int] = {}
        waiting = members[::-1]
        while waiting:
            node = waiting.pop()
            if node in values:
                key.append(values[node])
                continue
            values[node] = len(values)
            base = self._bases.get(node)
            if base is None:
                base = self._bases[node] = self._base(node)
            if base in self._given or (base in self.stored and base not in members):
                token, anchor = self._loaded.get(node) or self._load(node, base)
                key += token, memory.setdefault(base, len(memory))
                key.append(memory.setdefault(anchor, len(memory)))
                continue
            token, operands = self._computed.get(node) or self._compute(node)
            if token == _BEYOND or len(values) > _MOST_NODES:
                return None
            key.append(token)
            waiting += operands
        return tuple(key), [*values, *memory]

    def _base(self, node: fx.Node) -> fx.Node:
        """The node whose memory a value lies in; a number and a tuple have none, and are their
        own."""
        base = self.graph.base(node)
        kinds = self.graph.kinds
        if kinds[base] is not NodeKind.COMPUTE and kinds[node] not in _WITHOUT_MEMORY:
            self._given.add(base)
        return base

    def _compute(self, node: fx.Node) -> tuple[int, list[fx.Node]]:
        """The token of a value that is computed, or a view of one, and its operands, the first one
        last."""
        if self.graph.kinds[node] is NodeKind.SCALAR:
            found = self._token(_number_key(value_of(node))), _NOTHING
        elif looks_beyond(node.target):
            found = _BEYOND, _NOTHING
        else:
            operands = node.all_input_nodes
            place = {n: (_OPERAND, i) for i, n in enumerate(operands)}.__getitem__
            given = argument_key(node.args, place), argument_key(node.kwargs, place)
            made = _layouts(value_of(node)) or _layout(tensor_of(node))
            description = (id(node.target), self.graph.kinds[node], given, made)
            found = self._token(description), operands[::-1]
        self._computed[node] = found
        return found

    def _load(self, node: fx.Node, base: fx.Node) -> tuple[int, fx.Node]:
        """The token of a value that lies in memory, and what it is addressed from."""
        anchor = self.graph.anchor(node)
        layouts = [_layout(find_tensor(n)) for n in (node, anchor)]
        is_same = (node is base, node is anchor, base is anchor)
        found = self._loaded[node] = (self._token((is_same, *layouts)), anchor)
        return found

    def _token(self, description: Hashable) -> int:
        """A number below zero for each description; places are others."""
        return self._tokens.setdefault(description, -1 - len(self._tokens))


def _layout(tensor: TensorInfo | None) -> Hashable:
    if tensor is None:
        return None
    return tensor.dtype, tensor.shape, tensor.strides, tensor.offset, tensor.device


def _layouts(values: Any) -> Hashable:
    """Of the results of an operator with several; None for one."""
    if isinstance(values, (tuple, list)):
        return tuple([None if v is None else _layout(TensorInfo(v)) for v in values])
    return None


def _number_key(value: Any) -> Hashable:
    if isinstance(value, _SYMBOLIC):
        return type(value), value.node.expr
    return type(value), repr(value)
