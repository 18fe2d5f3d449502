"""Emitting FX nodes as one program: values are pulled from what is stored back to what is loaded.

A node is emitted *at a map*: which axis of the program each of its dimensions runs along. Views of
values being computed only change the map; views of memory that exists become strides. Knows FX
nodes and the frontend's builder. Does not know which nodes belong together (the partitioner).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from gint.host.frontend import Builder, Scalar, Value
from gint.isa import DType, dtype
from gint.program import VerifiedProgram

from . import lowering
from .dtypes import dtype_of, fitting, gint_dtype
from .graph import Graph, NodeKind, is_tensor, value_of
from .indexing import FIXED, Index, Map, SplitNeededError, address, axes_of
from .sizes import Key, key, keys
from .views import map_through, source_of

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
class Dim:
    """A logical dimension of the program: one axis, or several where views split it. The index of
    a value that runs along it is `index`."""

    size: Key
    axes: tuple[int, ...]
    index: Index


@dataclass
class Domain:
    """The program's axes (their `extents`) and the dimensions they make up. `order` lists the
    dimensions as those of a value that varies over all of them come; `reduced` are reduced."""

    extents: list[Key] = field(default_factory=list)
    dims: list[Dim] = field(default_factory=list)
    reduced: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)

    def map_for(self, shape: tuple[Key, ...]) -> Map | None:
        """The map of a stored value of this shape: over all axes, or over the parallel ones."""
        wanted = [s for s in shape if s != 1]
        parallel = [d for d in self.order if d not in self.reduced]
        for dims in (self.order, parallel):
            if [self.dims[d].size for d in dims] == wanted:
                rest = iter(dims)
                return tuple(FIXED if s == 1 else self.dims[next(rest)].index for s in shape)
        return None


def emit(
    graph: Graph,
    stored: set[fx.Node],
    members: list[fx.Node],
    outputs: list[fx.Node],
    max_slots: int,
) -> Emitted:
    """The program that computes `members` and stores those of them that are `outputs`.

    `stored` are the nodes that other programs store. Raises BlockedError, UnfitError and
    NotLowerableError.
    """
    splits: dict[int, tuple[int, ...]] = {}
    while True:
        emitter = Emitter(graph, stored, members, max_slots, splits)
        try:
            return emitter.emit(outputs)
        except SplitNeededError as split:
            emitter.split(split)


class Emitter:
    """Emits one program. `splits` says which dimensions are made up of several axes."""

    def __init__(
        self,
        graph: Graph,
        stored: set[fx.Node],
        members: list[fx.Node],
        max_slots: int,
        splits: dict[int, tuple[int, ...]],
    ) -> None:
        self.graph, self.stored, self.max_slots = graph, stored, max_slots
        self.members, self.splits = members, splits
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
        first = keys(value_of(self.members[0]).shape)
        for size in first:
            if size != 1:
                self.domain.order.append(self._new_dim(size, reduced=False))
        values = [self._member(node) for node in self.members]
        for node, (value, m) in zip(self.members, values, strict=True):
            if node in outputs:
                self._store(node, value, m)
        if len(self.sources) > self.max_slots:
            raise UnfitError(f"{len(self.sources)} tensors; the backend takes {self.max_slots}")
        return Emitted(
            self.builder.build(), tuple(self.domain.extents), tuple(self.params),
            tuple(self.sources), tuple(n for n in self.members if n in outputs),
        )  # fmt: skip

    def _member(self, node: fx.Node) -> tuple[Value, Map]:
        shape = keys(value_of(node).shape)
        m = self.domain.map_for(shape)
        if m is None:
            raise UnfitError(f"{node} of shape {shape} does not fit axes {self.domain.extents}")
        return self.value(node, m), m

    def _store(self, node: fx.Node, value: Value, m: Map) -> None:
        fake = value_of(node)
        _, steps = address(m, keys(fake.stride()))
        self.sources.append(SlotSource(node, tuple(steps.values()), 0))
        name = f"out{len(self.sources)}"
        self.builder.output(name, dtype_of(fake.dtype), tuple(steps), value)

    def _new_dim(self, size: Key, reduced: bool) -> int:
        """A new dimension, of as many axes as the splits ask for; its number."""
        domain = self.domain
        extents = self.splits.get(len(domain.dims), (size,))
        axes, terms, weight = [], [], 1
        for extent in reversed(extents):
            name = f"x{len(domain.extents)}"
            axis = self.builder.reduced(name) if reduced else self.builder.parallel(name)
            domain.extents.append(extent)
            axes.append(axis)
            terms.append((axis, weight))
            weight = weight * extent
        domain.dims.append(Dim(size, tuple(axes), Index(0, tuple(sorted(terms)))))
        return len(domain.dims) - 1

    def split(self, wanted: SplitNeededError) -> None:
        """Note that an axis has to be two, for the next attempt."""
        for number, dim in enumerate(self.domain.dims):
            if wanted.axis in dim.axes:
                outer_first = dim.axes[::-1]
                extents = []
                for axis in outer_first:
                    extent = self.domain.extents[axis]
                    if axis == wanted.axis:
                        extents += [extent // wanted.inner, wanted.inner]
                    else:
                        extents.append(extent)
                self.splits[number] = tuple(extents)

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
            inner = map_through(node, m, self.domain.extents)
            if inner is None:
                raise BlockedError(base)
            return self.value(source_of(node), inner)
        if self._depth > _MAX_DEPTH:
            raise BlockedError(node)
        value = lowering.lower(Context(self, node, m))
        return self.builder.cast(value, dtype_of(value_of(node).dtype).compute)

    def _is_stored(self, node: fx.Node) -> bool:
        return node in self.stored and node not in self.members

    def _load(self, node: fx.Node, base: fx.Node, m: Map) -> Value:
        fake, base_fake = value_of(node), value_of(base)
        t = gint_dtype(fake.dtype)
        if t is None or fake.device.type != self.graph.device:
            raise lowering.NotLowerableError(f"a tensor of {fake.dtype} on {fake.device}")
        offset, steps = address(m, keys(fake.stride()))
        # Only view_as_real has elements of another size than its base.
        ratio = base_fake.dtype.itemsize // fake.dtype.itemsize
        offset = offset + key(fake.storage_offset() - ratio * base_fake.storage_offset())
        axes, strides = tuple(steps), tuple(steps.values())
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
            return self.builder.cast(self._parameter(k, kind), t)
        return self.builder.const(fitting(value, t), t)

    def size(self, k: Key) -> Value:
        """A size as an i64 value."""
        return self.builder.const(k, "i64") if isinstance(k, int) else self._parameter(k, "i64")

    def _parameter(self, k: Key, kind: str) -> Value:
        found = self._param_values.get((k, kind))
        if found is None:
            self.params.append(k)
            found = self.builder.param(f"p{len(self.params)}", kind)
            self._param_values[k, kind] = found
        return found

    # Reductions

    def reduction_map(
        self, node: fx.Node, shape: tuple[Key, ...], dims: list[int], kept: Map
    ) -> Map:
        """The map of a reduction's input: `kept` for the dimensions that stay (in order), reduced
        axes for `dims`. Raises BlockedError(node) where the program's axes cannot carry it."""
        reduced = iter(self._reduced_dims(node, shape, dims, kept))
        stay = iter(kept)
        full: list[Index] = []
        for d, size in enumerate(shape):
            if d not in dims:
                full.append(next(stay))
            else:
                full.append(FIXED if size == 1 else self.domain.dims[next(reduced)].index)
        return tuple(full)

    def _reduced_dims(
        self, node: fx.Node, shape: tuple[Key, ...], dims: list[int], kept: Map
    ) -> list[int]:
        domain = self.domain
        sizes = [shape[d] for d in dims if shape[d] != 1]
        if not sizes:
            return []
        kept_axes = axes_of(kept)
        others = [d for d in domain.order if not set(domain.dims[d].axes) <= set(kept_axes)]
        if len(set(kept_axes)) != len(kept_axes):
            raise BlockedError(node)
        if [domain.dims[d].size for d in others] != sizes:
            if others or domain.reduced:
                raise BlockedError(node)
            others = [self._new_dim(size, reduced=True) for size in sizes]
            self._insert_in_order(others, shape, dims)
        if any(set(domain.dims[d].axes) & set(kept_axes) for d in others):
            raise BlockedError(node)
        if not domain.reduced:
            domain.reduced[:] = others
            for axis in (a for d in others for a in domain.dims[d].axes):
                self.builder.make_reduced(axis)
        if domain.reduced != others:
            raise BlockedError(node)
        return others

    def _insert_in_order(self, new: list[int], shape: tuple[Key, ...], dims: list[int]) -> None:
        """New dimensions take their place among the old ones as in the source's shape."""
        rest, stay = iter(new), iter(self.domain.order)
        wanted = [d in dims for d, size in enumerate(shape) if size != 1]
        if wanted.count(False) == len(self.domain.order):
            self.domain.order[:] = [next(rest if is_new else stay) for is_new in wanted]
        else:
            self.domain.order += new


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
        return dtype_of(self.fake.dtype).compute

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

    def position(self, index: Index) -> Value:
        """Where an index stands, i64."""
        b = self.builder
        value = self.emitter.size(index.offset)
        for axis, coefficient in index.terms:
            step = b.index(axis)
            step = step if coefficient == 1 else b.mul(step, self.emitter.size(coefficient))
            value = step if index.offset == 0 and axis == index.terms[0][0] else b.add(value, step)
        return value

    def broadcast(self, arg: fx.Node) -> Map:
        """The map of an operand that is broadcast to the result's shape."""
        shape = keys(value_of(arg).shape)
        m = self.map[len(self.map) - len(shape) :]
        return tuple(FIXED if s == 1 else i for s, i in zip(shape, m, strict=True))
