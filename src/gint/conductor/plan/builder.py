"""From a graph and its partition to a plan as data.

Knows FX nodes, units and where values lie. Does not know how a plan is run.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import fx

from gint.plan import (
    Allocate,
    Call,
    Check,
    Constant,
    Expect,
    Foreign,
    Input,
    Item,
    Launch,
    Named,
    Plan,
    SlotUse,
    Step,
    TensorType,
    Use,
    View,
)
from gint.plan.operators import is_saved_operator
from gint.program import VerifiedProgram
from gint.runtime.tensors.entry_points import only_reads

from ..graph.into import is_copy, writes_into
from ..graph.nodes import (
    Graph,
    NodeKind,
    TensorInfo,
    defined_symbols,
    find_tensor,
    tensor_of,
    value_of,
)  # fmt: skip
from ..graph.sizes import Key
from ..graph.writes import is_write
from ..lowering.emitted import Recording
from ..partition.order import Unit, mutates
from ..partition.partitioning import Partition
from .bare_views import BareView, bare_view
from .expressions import expression, expressions, number
from .releases import with_releases
from .symbols import Symbols, path_steps

_NO_VALUES: Mapping[fx.Node, int] = {}
#: Whose operators do as their fake kernels say.
_KNOWN = ("aten", "prims", "gint", "mkldnn")
_CLONE = torch.ops.aten.clone.default
_ASSERT = torch.ops.aten._assert_scalar.default


class Boundary(NamedTuple):
    """What a forward graph and its backward graph do about values that no guard has seen: the
    gradients that launches or views read, and what was saved for the backward graph."""

    tangents: tuple[int, ...]
    saved: tuple[Expect, ...]


class Built(NamedTuple):
    """A plan; the objects its constants stand for; the inputs that no guard has seen; the values
    whose memory holds their negatives or conjugates, as a bit of the tensor says."""

    plan: Plan
    constants: tuple[Any, ...]
    boundary: Boundary
    flipped: frozenset[int] = frozenset()


def build(graph: Graph, partition: Partition, module: torch.nn.Module) -> Built:
    """The plan of a graph; `module` has its constants. Raises LookupError for a symbol that
    nothing defines, or a size that no plan can say."""
    return _Builder(graph, partition).build(module)


class _Builder:
    def __init__(self, graph: Graph, partition: Partition) -> None:
        self.graph, self.units, self.placed = graph, partition.units, partition.placed
        self.steps: list[Step] = []
        self.values: dict[fx.Node, int] = {}
        self.bare_values: dict[BareView, int] = {}
        self.count = 0
        self.programs: dict[VerifiedProgram, int] = {}
        self.layouts: dict[Recording, _Layout] = {}
        self.bare: dict[fx.Node, dict[fx.Node, BareView]] = {}
        self.written: set[fx.Node] = set(self.placed.values())
        self.symbols = Symbols()
        self.output = next(n for n in reversed(graph.fx.nodes) if n.op == "output")
        #: Values whose memory is addressed here, by launches and bare views; and all whose strides
        #: others rely on, as those do who are handed them.
        self.addressed = {node for unit in self.units for node in self._addressed_by(unit)}
        self.seen = self.addressed | {graph.base(n) for n in self.output.all_input_nodes}

    def _addressed_by(self, unit: Unit) -> Iterator[fx.Node]:
        if unit.is_launch:
            return (s.node for s in unit.program.slots)
        node = unit.nodes[0]
        anchors = [view.anchor for view in self._bare(node).values()]
        return iter([*anchors, *(node.all_input_nodes if is_copy(node) else ())])

    def build(self, module: torch.nn.Module) -> Built:
        nodes = self.graph.fx.nodes
        placeholders = [n for n in nodes if n.op == "placeholder"]
        attributes = [n for n in nodes if n.op == "get_attr"]
        for node in (*placeholders, *attributes):
            self.values[node] = self._new_value()
        objects = tuple([_attribute(module, n.target) for n in attributes])
        head = self.symbols.of_inputs(placeholders, self.values)
        blocks = [*self._blocks()]
        self.steps = []
        bare = {n: self._bare_value(view) for n, view in self._returned_bare().items()}
        result = self._argument(tuple(self.output.args[0]), bare)
        held = [self.values[n] for n in attributes]
        steps = (*head, *with_releases([*blocks, self.steps], result, held))
        self.symbols.refuse_unknown(steps, result)
        inputs = tuple([self._input(n) for n in placeholders])
        constants = tuple([
            Constant(n.target, self._type_or_none(n), n in self.written) for n in attributes
        ])  # fmt: skip
        plan = Plan(inputs, constants, tuple(self.programs), steps, result)
        flipped = frozenset([value for n, value in self.values.items() if _is_flipped(n)])
        return Built(plan, objects, self._boundary(placeholders), flipped)

    def _blocks(self) -> Iterator[list[Step]]:
        for unit in self.units:
            self.steps = []
            self._launch(unit) if unit.is_launch else self._call(unit.nodes[0])
            yield self.steps

    # Inputs

    def _input(self, node: fx.Node) -> Input:
        value = value_of(node)
        kinds = {torch.SymInt: "int", torch.SymFloat: "float", torch.SymBool: "bool"}
        kind = kinds.get(type(value)) or self._type_or_none(node)
        return Input(node.name, kind, node in self.written)

    def _type_or_none(self, node: fx.Node) -> TensorType | None:
        tensor = find_tensor(node)
        return None if tensor is None else tensor_type(tensor)

    def _boundary(self, placeholders: list[fx.Node]) -> Boundary:
        given = [
            n for n in placeholders
            if n in self.addressed and isinstance(value_of(n), torch.Tensor)
        ]  # fmt: skip
        return Boundary(
            tuple([self.values[n] for n in given if _is_tangent(n)]),
            tuple([self._expect(n, True) for n in given if not _is_tangent(n)]),
        )

    def _expect(self, node: fx.Node, is_foreign: bool) -> Expect:
        return Expect(self.values[node], tensor_type(tensor_of(node)), is_foreign)

    # Launches

    def _launch(self, unit: Unit) -> None:
        e = unit.program
        for node in e.outputs:
            if is_write(self.graph, node) and node not in self.placed:
                self._copy_of(node)
            else:
                self._allocate(node)
        layout = self.layouts.get(e.recording)
        if layout is None:
            layout = self.layouts[e.recording] = _layout(e.recording)
        slots = tuple([
            SlotUse(self._anchor(s.anchor), *place)
            for s, place in zip(e.slots, layout.places, strict=True)
        ])  # fmt: skip
        program = self.programs.setdefault(e.recording.verified, len(self.programs))
        device = str(tensor_of(unit.nodes[0]).device)
        is_foreign = any(self._is_foreign(s.node) for s in e.slots)
        self.steps.append(Launch(program, layout.extents, layout.params, slots, device, is_foreign))

    def _anchor(self, node: fx.Node) -> int:
        """The value of what a slot is addressed from; a view of ATen's is compared, since it may
        lie anywhere in its storage."""
        is_made = node in self.values
        value = self._tensor(node)
        if not is_made:
            self.steps.append(self._expect(node, False))
        return value

    def _is_foreign(self, node: fx.Node) -> bool:
        """Whether a value's memory is neither ours nor ATen's."""
        if self.graph.kinds[node] is NodeKind.INPUT:
            return True
        target = node.args[0].target if node.target is operator.getitem else node.target
        is_known = isinstance(target, torch._ops.OpOverload) and target.namespace in _KNOWN
        return not is_known and self.graph.kinds[node] is not NodeKind.COMPUTE

    def _allocate(self, node: fx.Node) -> None:
        if node in self.placed:
            self.values[node] = self.values[self.placed[node]]
            return
        tensor = tensor_of(node)
        value = self.values[node] = self._new_value()
        self.steps.append(Allocate(value, tensor_type(tensor), str(tensor.device)))

    def _copy_of(self, node: fx.Node) -> None:
        """Memory for what is written into a piece, with the rest in it."""
        source = self._argument(node.args[0])
        value = self.values[node] = self._new_value()
        self.steps.append(Call(value, str(_CLONE), (source,), ()))
        self.steps.append(self._expect(node, False))

    # Nodes left whole

    def _call(self, node: fx.Node) -> None:
        if writes_into(node):
            args, kwargs = self._arguments(node)
            self._allocate(node)
            self.steps.append(Call(self.values[node], str(node.target), args, kwargs, into=True))
            return
        if node.target is _ASSERT and not isinstance(node.args[0], bool):
            message = str(node.args[1])
            self.steps.append(Check(self._argument(node.args[0]), message))
            return
        if mutates(node):
            self.written.update(self.graph.memory(n) for n in node.all_input_nodes)
        self._assign(node)
        value, tensor = self.values[node], find_tensor(node)
        for symbol, path in defined_symbols(node).items():
            self.steps += self.symbols.define(symbol, value, path_steps(path))
        self.steps += self.symbols.of_tensor(value_of(node), value)
        if tensor and node in self.addressed and self._is_foreign(node):
            self.steps.append(self._expect(node, True))
        elif tensor and node in self.seen:
            self.steps.append(self._expect(node, False))

    def _assign(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            source = self._tensor(node.args[0])
            value = self.values[node] = self._new_value()
            self.steps.append(Item(value, source, node.args[1]))
            return
        args, kwargs = self._arguments(node)
        value = self.values[node] = self._new_value()
        self.steps.append(Call(value, _operator(node.target), args, kwargs))

    def _new_value(self) -> int:
        self.count += 1
        return self.count - 1

    def _tensor(self, node: fx.Node) -> int:
        """The value of a node, a view being taken where it is first needed."""
        if node not in self.values:
            self._assign(node)
        return self.values[node]

    def _bare(self, node: fx.Node) -> dict[fx.Node, BareView]:
        """Arguments of a node left whole for which bare views do."""
        found = self.bare.get(node)
        if found is None:
            views = {n: bare_view(self.graph, n) for n in _only_read(node)}
            found = self.bare[node] = {n: view for n, view in views.items() if view is not None}
        return found

    def _returned_bare(self) -> dict[fx.Node, BareView]:
        """Returned views of memory made here that nothing else returned shows: theirs alone."""
        views = {n: bare_view(self.graph, n) for n in self.output.all_input_nodes}
        shown = Counter(self.graph.memory(n) for n in views)
        return {
            n: view for n, view in views.items()
            if view and shown[memory := self.graph.memory(n)] == 1
            and self.graph.kinds[memory] is not NodeKind.INPUT
        }  # fmt: skip

    def _bare_value(self, view: BareView) -> int:
        if view not in self.bare_values:
            source = self._tensor(view.anchor)
            value = self.bare_values[view] = self._new_value()
            size, strides = expressions(view.size), expressions(view.strides)
            self.steps.append(View(value, source, size, strides, expression(view.offset)))
        return self.bare_values[view]

    # Arguments

    def _arguments(self, node: fx.Node) -> tuple[tuple, tuple[tuple[str, Any], ...]]:
        bare = {n: self._bare_value(view) for n, view in self._bare(node).items()}
        args = tuple([self._argument(a, bare) for a in node.args])
        return args, tuple([(k, self._argument(v, bare)) for k, v in node.kwargs.items()])

    def _argument(self, a: Any, bare: Mapping[fx.Node, int] = _NO_VALUES) -> Any:
        """An argument as data; `bare` holds what stands for some nodes here."""
        if isinstance(a, fx.Node):
            if a in bare:
                return Use(bare[a])
            if self.graph.kinds[a] is NodeKind.SCALAR and a not in self.values:
                return number(value_of(a))
            return Use(self._tensor(a))
        if isinstance(a, (list, tuple)):
            items = [self._argument(x, bare) for x in a]
            return items if isinstance(a, list) else tuple(items)
        if isinstance(a, dict):
            return {k: self._argument(v, bare) for k, v in a.items()}
        if isinstance(a, slice):
            return slice(*[self._argument(x) for x in (a.start, a.stop, a.step)])
        if a is None or isinstance(a, (bool, int, float, str)):
            return a
        if isinstance(a, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return number(a)
        return _named(a)


class _Layout(NamedTuple):
    """What is the same in launches of equal layers: of each slot the bytes that may be reached, the
    offset and the strides."""

    extents: tuple
    params: tuple
    places: list[tuple]


def _layout(recording: Recording) -> _Layout:
    places = [
        (expression(memory_bytes(s.anchor)), expression(s.offset), expressions(s.strides))
        for s in recording.slots
    ]
    return _Layout(expressions(recording.extents), expressions(recording.params), places)


def _only_read(node: fx.Node) -> list[fx.Node]:
    """The arguments of a node that its operator only reads."""
    return node.all_input_nodes if only_reads(node.target) or is_copy(node) else []


def tensor_type(tensor: TensorInfo) -> TensorType:
    """What a plan says of a tensor."""
    return TensorType(
        str(tensor.dtype).removeprefix("torch."), expressions(tensor.shape),
        expressions(tensor.strides),
    )  # fmt: skip


def _named(a: Any) -> Named | Foreign:
    for kind in ("dtype", "device", "layout", "memory_format"):
        if isinstance(a, getattr(torch, kind)):
            return Named(kind, str(a).removeprefix("torch."))
    return Foreign(a)


def _operator(target: Any) -> str | Foreign:
    # Of ours some name matrices of this process by number.
    if isinstance(target, torch._ops.OpOverload):
        name = str(target)
        if target.namespace != "gint" or is_saved_operator(name):
            return name
    name = getattr(target, "__name__", "function").replace(".", "_")
    return Foreign(target, name if name.isidentifier() else "function")


def _is_flipped(node: fx.Node) -> bool:
    tensor = find_tensor(node)
    return tensor is not None and (tensor.kind.is_neg or tensor.kind.is_conj)


def _is_tangent(node: fx.Node) -> bool:
    """Whether an input of a backward graph is a gradient; AOTAutograd names them."""
    return node.name.startswith("tangents")


def memory_bytes(node: fx.Node) -> Key:
    """The bytes of a node's memory, from its first element on, that a slot may reach: its span, not
    its storage, whose size no guard tells."""
    tensor = tensor_of(node)
    if 0 in tensor.shape:
        return 0
    spans = zip(tensor.shape, tensor.strides, strict=True)
    return (1 + sum((size - 1) * stride for size, stride in spans)) * tensor.dtype.itemsize


def _attribute(module: torch.nn.Module, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module
