"""Emitting FX nodes as one program: values are pulled from what is stored back to what is loaded.

A node is emitted *at a map*: which axis of the program each of its dimensions runs along. Views of
values being computed only change the map; views of memory that exists become strides. Knows FX
nodes and the frontend's builder. Does not know which nodes belong together (the partitioner).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from gint.host.frontend import Builder, Scalar, Value
from gint.isa import DType, dtype
from gint.program import VerifiedProgram

from . import lowering
from .dtypes import gint_dtype
from .graph import Graph, NodeKind, is_tensor, value_of
from .sizes import Key, key, keys
from .views import Map, map_through

#: Deeper than this, an operand becomes a stored value: Python's stack is finite.
_MAX_DEPTH = 100


class BlockedError(Exception):
    """`node` cannot be computed inside this program; stored by another, it can be loaded."""

    def __init__(self, node: fx.Node) -> None:
        super().__init__(node.name)
        self.node = node


class UnfitError(Exception):
    """A value that does not fit the program's axes, or makes it larger than the backend takes."""


@dataclass(frozen=True)
class SlotSource:
    """What a slot shows: a node's memory with these strides (one per axis) and offset, in elements
    from the node's own first element."""

    node: fx.Node
    strides: tuple[Key, ...]
    offset: Key


@dataclass(frozen=True)
class Emitted:
    """A program with where its extents, parameters and slots come from."""

    verified: VerifiedProgram
    extents: tuple[Key, ...]
    params: tuple[Key, ...]
    slots: tuple[SlotSource, ...]
    outputs: tuple[fx.Node, ...]


@dataclass
class Domain:
    """The program's axes: their sizes, and which are reduced. `order` lists them as the dimensions
    of a value that varies over all of them come."""

    sizes: list[Key] = field(default_factory=list)
    reduced: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)

    def map_for(self, shape: tuple[Key, ...]) -> Map | None:
        """The map of a stored value of this shape: over all axes, or over the parallel ones."""
        wanted = [s for s in shape if s != 1]
        parallel = [a for a in self.order if a not in self.reduced]
        for axes in (self.order, parallel):
            if [self.sizes[a] for a in axes] == wanted:
                rest = iter(axes)
                return tuple(None if s == 1 else next(rest) for s in shape)
        return None


class Emitter:
    """Emits one program. `stored` are the nodes other programs store, besides inputs."""

    def __init__(
        self, graph: Graph, stored: set[fx.Node], members: list[fx.Node], max_slots: int
    ) -> None:
        self.graph, self.stored, self.max_slots = graph, stored, max_slots
        self.members = members
        self.domain = Domain()
        self.builder = Builder()
        self.sources: list[SlotSource] = []
        self.params: list[Key] = []
        self._values: dict[tuple[fx.Node, Map], Value] = {}
        self._loads: dict[tuple, Value] = {}
        self._param_values: dict[tuple, Value] = {}
        self._depth = 0

    # The program

    def emit(self, outputs: list[fx.Node]) -> Emitted:
        """The program that stores `outputs`. Raises BlockedError, UnfitError."""
        first = keys(value_of(outputs[0]).shape)
        for size in first:
            if size != 1:
                self.domain.order.append(self._new_axis(size, reduced=False))
        values = [self._member(node) for node in self.members]
        for node, (value, m) in zip(self.members, values, strict=True):
            if node in outputs:
                self._store(node, value, m)
        if len(self.sources) > self.max_slots:
            raise UnfitError(f"{len(self.sources)} tensors; the backend takes {self.max_slots}")
        return Emitted(
            self.builder.build(), tuple(self.domain.sizes), tuple(self.params),
            tuple(self.sources), tuple(n for n in self.members if n in outputs),
        )  # fmt: skip

    def _member(self, node: fx.Node) -> tuple[Value, Map]:
        shape = keys(value_of(node).shape)
        m = self.domain.map_for(shape)
        if m is None:
            raise UnfitError(f"{node} of shape {shape} does not fit axes {self.domain.sizes}")
        return self.value(node, m), m

    def _store(self, node: fx.Node, value: Value, m: Map) -> None:
        fake = value_of(node)
        axes, strides = _strides(m, fake)
        t = gint_dtype(fake.dtype)
        self.sources.append(SlotSource(node, strides, 0))
        self.builder.output(f"out{len(self.sources)}", t, axes, value)

    def _new_axis(self, size: Key, reduced: bool) -> int:
        self.domain.sizes.append(size)
        name = f"x{len(self.domain.sizes) - 1}"
        return self.builder.reduced(name) if reduced else self.builder.parallel(name)

    # Values

    def value(self, node: fx.Node, m: Map) -> Value:
        """The value of a node at a map, in the compute type of its dtype."""
        found = self._values.get((node, m))
        if found is None:
            self._depth += 1
            try:
                found = self._values[node, m] = self._value(node, m)
            finally:
                self._depth -= 1
        return found

    def _value(self, node: fx.Node, m: Map) -> Value:
        kind = self.graph.kinds[node]
        base = self.graph.base(node)
        if self.graph.kinds[base] is not NodeKind.COMPUTE or self._is_stored(base):
            return self._load(node, base, m)
        if kind is NodeKind.VIEW:
            inner = map_through(node, m)
            if inner is None:
                raise BlockedError(base)
            return self.value(node.args[0], inner)
        if self._depth > _MAX_DEPTH:
            raise BlockedError(node)
        value = lowering.lower(Context(self, node, m))
        return self.builder.cast(value, gint_dtype(value_of(node).dtype).compute)

    def _is_stored(self, node: fx.Node) -> bool:
        return node in self.stored and node not in self.members

    def _load(self, node: fx.Node, base: fx.Node, m: Map) -> Value:
        fake, base_fake = value_of(node), value_of(base)
        t = gint_dtype(fake.dtype)
        if t is None or fake.device.type != self.graph.device:
            raise lowering.NotLowerableError(f"a tensor of {fake.dtype} on {fake.device}")
        axes, strides = _strides(m, fake)
        offset = key(fake.storage_offset() - base_fake.storage_offset())
        load_key = (base, axes, strides, offset, t.name)
        found = self._loads.get(load_key)
        if found is None:
            self.sources.append(SlotSource(base, strides, offset))
            found = self.builder.input(f"in{len(self.sources)}", t, *axes)
            self._loads[load_key] = found
        return found

    def number(self, value: Scalar | fx.Node, t: DType) -> Value:
        """A Python number as a constant, a symbolic one as a parameter, in type `t`."""
        if isinstance(value, fx.Node):
            value = value_of(value)
        if isinstance(value, (torch.SymInt, torch.SymFloat)):
            kind = "f64" if isinstance(value, torch.SymFloat) else "i64"
            k = key(value) if kind == "i64" else value.node.expr
            found = self._param_values.get((k, kind))
            if found is None:
                self.params.append(k)
                found = self.builder.param(f"p{len(self.params)}", kind)
                self._param_values[k, kind] = found
            return self.builder.cast(found, t)
        return self.builder.const(value, t)

    # Reductions

    def reduction_map(
        self, node: fx.Node, shape: tuple[Key, ...], dims: list[int], kept: Map
    ) -> Map:
        """The map of a reduction's input: `kept` for the dimensions that stay (in order), reduced
        axes for `dims`. Raises BlockedError(node) where the program's axes cannot carry it."""
        sizes = [shape[d] for d in dims if shape[d] != 1]
        reduced = self._reduced_axes(node, shape, dims, kept) if sizes else []
        rest, stay = iter(reduced), iter(kept)
        full: list[int | None] = []
        for d, size in enumerate(shape):
            if d in dims:
                full.append(None if size == 1 else next(rest))
            else:
                full.append(next(stay))
        return tuple(full)

    def _reduced_axes(
        self, node: fx.Node, shape: tuple[Key, ...], dims: list[int], kept: Map
    ) -> list[int]:
        domain = self.domain
        sizes = [shape[d] for d in dims if shape[d] != 1]
        kept_axes = [a for a in kept if a is not None]
        others = [a for a in domain.order if a not in kept_axes]
        if len(set(kept_axes)) != len(kept_axes):
            raise BlockedError(node)
        if [domain.sizes[a] for a in others] != sizes:
            if others or domain.reduced:
                raise BlockedError(node)
            others = [self._new_axis(size, reduced=True) for size in sizes]
            rest, stay = iter(others), iter(kept_axes)
            order = [next(rest if d in dims else stay) for d, s in enumerate(shape) if s != 1]
            domain.order[:] = order
        if domain.reduced and domain.reduced != others:
            raise BlockedError(node)
        if not domain.reduced:
            domain.reduced[:] = others
            for axis in others:
                self.builder.make_reduced(axis)
        return others


def _strides(m: Map, fake: torch.Tensor) -> tuple[tuple[int, ...], tuple[Key, ...]]:
    """The axes a tensor varies over at a map, and its strides along them."""
    pairs = [(a, key(s)) for a, s in zip(m, fake.stride(), strict=True) if a is not None]
    return tuple(a for a, _ in pairs), tuple(s for _, s in pairs)


@dataclass(frozen=True)
class Context:
    """What a lowering rule sees of the node it lowers."""

    emitter: Emitter
    node: fx.Node
    map: Map

    @property
    def builder(self) -> Builder:
        return self.emitter.builder

    @property
    def fake(self) -> torch.Tensor:
        return value_of(self.node)

    @property
    def torch_dtype(self) -> torch.dtype:
        return self.fake.dtype

    @property
    def dtype(self) -> DType:
        """The compute type of the result."""
        return gint_dtype(self.fake.dtype).compute

    @property
    def op_node(self) -> fx.Node:
        """The node of the operator: the node itself, or what a getitem takes an item of."""
        import operator

        return self.node.args[0] if self.node.target is operator.getitem else self.node

    def block(self) -> None:
        """Give up computing the node inside this program."""
        raise BlockedError(self.node)

    @property
    def item(self) -> int:
        return self.node.args[1] if self.op_node is not self.node else 0

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument of the operator, by position or by name."""
        args, kwargs = self.op_node.args, self.op_node.kwargs
        return args[position] if len(args) > position else kwargs.get(name, default)

    def operand(self, arg: Any, type: DType | str | None = None) -> Value:
        """An argument broadcast against the result, in `type` (default: the result's)."""
        wanted = self.dtype if type is None else dtype(type)
        if isinstance(arg, fx.Node) and is_tensor(arg):
            return self.builder.cast(self.value(arg, self.broadcast(arg)), wanted)
        return self.emitter.number(arg, wanted)

    def value(self, arg: fx.Node, m: Map) -> Value:
        return self.emitter.value(arg, m)

    def broadcast(self, arg: fx.Node) -> Map:
        """The map of an operand that is broadcast to the result's shape."""
        shape = keys(value_of(arg).shape)
        m = self.map[len(self.map) - len(shape) :]
        return tuple(None if s == 1 else a for s, a in zip(shape, m, strict=True))

