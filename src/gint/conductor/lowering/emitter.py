"""Emitting FX nodes as one program: values are pulled from what is stored back to what is loaded.

A node is emitted *at a map*: which axis of the program each of its dimensions runs along. Views of
values being computed only change the map; views of memory that exists become strides. Knows FX
nodes and the frontend's builder. Does not know which nodes belong together (the partitioner).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, NoReturn

import torch
from torch import fx

from gint.host.frontend import Builder, Scalar, Value
from gint.isa import DType, dtype
from gint.isa.limits import MAX_AXES, MAX_INDICES

from ..graph.dtypes import dtype_of, fitting, gint_dtype
from ..graph.indexing import (
    FIXED,
    Index,
    Map,
    NotAffineError,
    ReversalNeededError,
    SplitNeededError,
    address,
)
from ..graph.nodes import Graph, NodeKind, find_tensor, tensor_of, value_of
from ..graph.sizes import Key, key
from ..graph.views import map_through, viewed
from ..graph.writes import place_of, written
from .domain import Domain
from .emitted import Emitted, Recording, SlotSource
from .rules import NotLowerableError, rule_for

#: Deeper than this, an operand becomes a stored value: Python's stack is finite.
_MAX_DEPTH = 100
#: So few values are folded one by one; and so often at most is anything made for that.
_MOST_FOLDED, _MOST_COPIES = 4, 16


class BlockedError(Exception):
    """`node` cannot be computed inside this program; stored by another, it can be loaded."""

    def __init__(self, node: fx.Node) -> None:
        super().__init__(node.name)
        self.node = node


class UnfitError(Exception):
    """A value that does not fit the program's axes, or makes it larger than the backend takes."""


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
    emitter = Emitter(graph, stored, members, max_slots)
    while True:
        repeats = emitter.repeats
        try:
            return emitter.emit(outputs)
        except SplitNeededError as split:
            emitter.domain.split(split)
        except ReversalNeededError as reversal:
            emitter.domain.reverse(reversal)
        except UnfitError:
            if not emitter.has_repeated:
                raise
            repeats = False  # each value that is folded has a slot
        domain = emitter.domain
        emitter = Emitter(
            graph, stored, members, max_slots, domain.splits, domain.backwards, repeats
        )  # fmt: skip


class Emitter:
    """Emits one program. `splits` and `backwards` are those of its Domain; `repeats` says whether
    folds of few values are made of one after the other."""

    def __init__(
        self,
        graph: Graph,
        stored: set[fx.Node],
        members: list[fx.Node],
        max_slots: int,
        splits: dict[int, tuple[Key, ...]] | None = None,
        backwards: frozenset[int] = frozenset(),
        repeats: bool = True,
    ) -> None:
        self.graph, self.stored, self.max_slots = graph, stored, max_slots
        self.repeats, self.has_repeated, self._copies = repeats, False, 1
        self.members = members
        self.builder = Builder()
        self.domain = Domain(self.builder, splits or {}, backwards)
        self.sources: list[SlotSource] = []
        self.params: list[Key] = []
        self._values: dict[tuple[fx.Node, Map], Value] = {}
        self._slots: dict[tuple, int] = {}
        self._param_values: dict[tuple, Value] = {}
        self._depth = 0

    # The program

    def emit(self, outputs: list[fx.Node]) -> Emitted:
        """The program that stores `outputs`. Raises BlockedError, UnfitError."""
        self.domain.begin(tensor_of(written(self.graph, self.members[0])).shape)
        made = [self._member(node) for node in self.members]
        for node, (value, m) in zip(self.members, made, strict=True):
            if node in outputs:
                self._store(node, value, m)
        if len(self.domain.extents) > MAX_AXES:
            raise UnfitError(f"{len(self.domain.extents)} axes; a program has {MAX_AXES}")
        if len(self.sources) > self.max_slots:
            raise UnfitError(f"{len(self.sources)} tensors; the backend takes {self.max_slots}")
        slots, wanted = tuple(self.sources), tuple(n for n in self.members if n in outputs)
        extents, params = tuple(self.domain.extents), tuple(self.params)
        recording = Recording(self.builder, extents, params, slots, wanted)
        return Emitted(recording, slots, self.members, wanted)

    def _member(self, node: fx.Node) -> tuple[Value, Map]:
        stored = written(self.graph, node)
        shape = tensor_of(stored).shape
        m = self.domain.map_for(shape)
        if m is None:
            raise UnfitError(f"a value of shape {shape} does not fit axes {self.domain.extents}")
        return self.value(stored, m), place_of(self.graph, node, m)

    def _store(self, node: fx.Node, value: Value, m: Map) -> None:
        tensor = tensor_of(node)
        offset, steps = address(m, tensor.strides)
        self.sources.append(SlotSource(node, node, tuple(steps.values()), offset))
        name = f"out{len(self.sources)}"
        self.builder.output(name, dtype_of(tensor.dtype), tuple(steps), value)

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
        if self.is_loaded(base):
            return self._load(node, base, m)
        if kind is NodeKind.VIEW:
            inner = map_through(node, m, self.domain.extents)
            if inner is None:
                raise BlockedError(base)
            return self.value(viewed(node), inner)
        if self._depth > _MAX_DEPTH:
            raise BlockedError(node)
        context = Context(self, node, m)
        return self.builder.cast(lower(context), context.dtype)

    def is_loaded(self, base: fx.Node) -> bool:
        """Whether the value lies in memory when the program begins."""
        is_stored = base in self.stored and base not in self.members
        return self.graph.kinds[base] is not NodeKind.COMPUTE or is_stored

    def _load(self, node: fx.Node, base: fx.Node, m: Map) -> Value:
        anchor = self.graph.anchor(node)
        tensor, memory = tensor_of(node), tensor_of(anchor)
        t, device = gint_dtype(tensor.dtype), tensor.device
        if t is None or device.type != self.graph.device:
            raise NotLowerableError(f"a tensor of {tensor.dtype} on {device}")
        offset, steps = address(m, tensor.strides)
        # Only view_as_real has elements of another size than its base.
        ratio = memory.dtype.itemsize // tensor.dtype.itemsize
        offset = offset + tensor.offset - ratio * memory.offset
        computed = [d for d, index in enumerate(m) if index.computed is not None]
        indexed = self.domain.indexed_axes([tensor.shape[d] for d in computed])
        axes = (*steps, *indexed)
        strides = (*steps.values(), *(tensor.strides[d] for d in computed))
        load_key = (anchor, axes, strides, offset, t.name)
        slot = self._slots.get(load_key)
        if slot is None:
            self.sources.append(SlotSource(base, anchor, strides, offset))
            slot = self._slots[load_key] = self.builder.table(f"in{len(self.sources)}", t, *axes)
        if not computed:
            return self.builder.load(slot)
        if len(computed) > MAX_INDICES:
            raise NotLowerableError(f"{len(computed)} dimensions at computed positions")
        positions = [Value(self.builder, m[d].computed) for d in computed]
        return self.builder.gather(slot, *positions, outside=m[computed[0]].outside)

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
        """The map of the input of a reduction over `dims` (see Domain.reduction_map). Raises
        BlockedError(node) where the program's axes cannot carry it."""
        found = self.domain.reduction_map(shape, dims, kept)
        if found is None:
            raise BlockedError(node)
        return found

    def reduction_maps(
        self, node: fx.Node, shape: tuple[Key, ...], dims: list[int], kept: Map, loops: bool
    ) -> list[Map]:
        """The same where few values are folded: a map for each of them, which needs no axes. A
        fold of rows that short takes longer to begin than to do, and shares no program with
        others. One map where it `loops` in any case. Raises BlockedError(node)."""
        sizes = [shape[d] for d in dims]
        count = math.prod(sizes) if all(isinstance(size, int) for size in sizes) else 0
        is_few = 1 < count <= _MOST_FOLDED and self._copies * count <= _MOST_COPIES
        if loops or not (self.repeats and is_few):
            return [self.reduction_map(node, shape, dims, kept)]
        self.has_repeated = True
        return [_placed(dims, position, kept) for position in product(*map(range, sizes))]

    @contextmanager
    def repeating(self, count: int) -> Iterator[None]:
        """While what is made is made so many times, at other maps each."""
        self._copies *= count
        try:
            yield
        finally:
            self._copies //= count


def _placed(dims: list[int], position: Sequence[int], kept: Map) -> Map:
    """A map with fixed positions at these dimensions, and `kept` at the others, in order."""
    stay = iter(kept)
    fixed = dict(zip(dims, position, strict=True))
    rank = len(dims) + len(kept)
    return tuple(Index(fixed[d]) if d in fixed else next(stay) for d in range(rank))


class Context:
    """What a lowering rule sees of the node it lowers.

    `map` is where the node is emitted, `tensor` what it stands for, `dtype` the compute type of the
    result. `op_node` is the node of the operator: the node itself, or what it is an item of.
    """

    def __init__(self, emitter: Emitter, node: fx.Node, map: Map) -> None:
        self.emitter, self.node, self.map = emitter, node, map
        self.builder = emitter.builder
        self.op_node = node.args[0] if node.target is operator.getitem else node
        self.tensor = tensor_of(node)
        self.dtype = dtype_of(self.tensor.dtype).compute

    def block(self) -> NoReturn:
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
        if isinstance(arg, fx.Node) and find_tensor(arg):
            return self.builder.cast(self.value(arg, self.broadcast(arg)), wanted)
        return self.emitter.number(arg, wanted)

    def value(self, arg: fx.Node, m: Map) -> Value:
        return self.emitter.value(arg, m)

    def memory(self, arg: fx.Node, m: Map) -> Value:
        """The value at a map whose computed indices may lie outside: of memory, which is checked.

        Raises BlockedError where it is not in memory yet.
        """
        base = self.emitter.graph.base(arg)
        if not self.emitter.is_loaded(base):
            raise BlockedError(base)
        return self.value(arg, m)

    def computed(self, value: Value, outside: Scalar | None = None) -> Index:
        """An integer value as an index; `outside` stands for what the source has not, and is the
        same for all indices of a map. Without it that is eager's IndexError."""
        return Index(computed=self.builder.cast(value, "i64").node, outside=outside)

    def position(self, index: Index) -> Value:
        """Where an index stands, i64."""
        b = self.builder
        if index.computed is not None:
            return Value(b, index.computed)
        value = self.emitter.size(index.offset)
        for axis, coefficient in index.terms:
            step = b.index(axis)
            step = step if coefficient == 1 else b.mul(step, self.emitter.size(coefficient))
            value = step if index.offset == 0 and axis == index.terms[0][0] else b.add(value, step)
        return value

    def broadcast(self, arg: fx.Node) -> Map:
        """The map of an operand that is broadcast to the result's shape."""
        shape = tensor_of(arg).shape
        m = self.map[len(self.map) - len(shape) :]
        return tuple(FIXED if s == 1 else i for s, i in zip(shape, m, strict=True))


def lower(context: Context) -> Value:
    """The value of the context's node. Raises NotLowerableError for types no opcode takes.

    Whatever else a rule raises is a bug in it; `node` is added to the exception, so that the node
    it is about is the one left to eager.
    """
    try:
        return rule_for(context.op_node.target)(context)
    except ValueError as error:
        refusal = NotLowerableError(str(error))
        refusal.node = context.op_node
        raise refusal from error
    except NotLowerableError as refusal:
        refusal.node = refusal.node or context.op_node
        raise
    except NotAffineError:
        raise BlockedError(context.node) from None
    except Exception as error:
        if not hasattr(error, "node"):
            error.node = context.op_node  # type: ignore[attr-defined]
        raise
