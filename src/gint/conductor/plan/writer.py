"""The plan of a graph: launches and extern calls in order, written out as one Python function.

    def call(args):
        a0, a1 = args
        args.clear()
        v0 = empty_strided((128, 512), (512, 1), float32)
        launch0(a0.data_ptr(), a1.data_ptr(), v0.data_ptr())
        v1 = mm(v0, a2)
        del v0
        return (v1,)

A call walks no graph and builds no dictionary. Launches of static shapes are bound once; those of
symbolic ones once per combination of sizes. On a device with streams every launch is given the
current one, which the first lines fetch; so nothing has to be recorded for torch's allocator.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import fx
from torch.autograd import forward_ad

from gint.backend.errors import raise_for
from gint.backend.protocol import Kernel
from gint.host.launches import remembered
from gint.program import VerificationError
from gint.program.facts import may_fail

from ..graph.nodes import (
    Graph,
    NodeKind,
    TensorInfo,
    defined_symbols,
    find_tensor,
    tensor_of,
    value_of,
)  # fmt: skip
from ..graph.sizes import Key, is_float, key, source, symbols
from ..lowering.emitter import Emitted
from ..partition.order import Unit
from ..partition.partitioning import Partition
from .bare_views import BareView, bare_view, reinterpret, takes_bare_views
from .devices import allocator, current_stream, scratch
from .entry_points import entry_point
from .foreign import (
    Saving,
    launch_on_copies,
    modes,
    need_operators,
    resolved,
    restride,
    saved_tensors_hooks,
    settled,
)
from .launch_record import LaunchRecord, preparing
from .memory import POOLED_BYTES, allocate, empty_strided, shelf
from .source import path_source, tuple_source, with_deletions
from .symbols import Symbols

_NO_NAMES: Mapping[fx.Node, str] = {}
#: Whose operators do as their fake kernels say.
_KNOWN = ("aten", "prims", "gint")
#: Operators left whole -> the overload that writes into memory it is given.
_INTO = {
    torch.ops.aten.mm.default: torch.ops.aten.mm.out,
    torch.ops.aten.bmm.default: torch.ops.aten.bmm.out,
    torch.ops.aten.addmm.default: torch.ops.aten.addmm.out,
    torch.ops.aten.baddbmm.default: torch.ops.aten.baddbmm.out,
}


class PlanWriter:
    """Writes the function. `kernels` holds the loaded program of every launch unit; `saving` is
    what a forward graph shares with its backward graph."""

    def __init__(
        self,
        graph: Graph,
        partition: Partition,
        kernels: dict[Unit, Kernel],
        saving: Saving | None = None,
        is_backward: bool = False,
    ) -> None:
        self.graph, self.kernels = graph, kernels
        self.saving, self.is_backward = saving, is_backward
        self.units, self.placed = partition.units, partition.placed
        self.lines: list[str] = []
        self.names: dict[fx.Node, str] = {}
        self.bare_names: dict[BareView, str] = {}
        self.space: dict[str, Any] = {
            "empty_strided": empty_strided, "allocate": allocate, "restride": restride,
            "reinterpret": reinterpret, "raise_for": raise_for,
            "VerificationError": VerificationError, "launch_on_copies": launch_on_copies,
            "math": math, "torch": torch, "resolved": resolved, "settled": settled,
            "need_operators": need_operators, "modes": modes, "forward_ad": forward_ad,
            "saved_tensors_hooks": saved_tensors_hooks, "nan": float("nan"), "inf": float("inf"),
        }  # fmt: skip
        #: Values whose memory is addressed here, by launches and bare views; and all whose strides
        #: others rely on, as those do who are handed them.
        self.addressed = {node for unit in self.units for node in self._addressed_by(unit)}
        self.seen = self.addressed | {graph.base(n) for n in self._output().all_input_nodes}
        self.constants: dict[Any, str] = {}
        self.symbols = Symbols()
        self.streams: dict[str, str] = {}
        self.launches: list[LaunchRecord] = []

    def _addressed_by(self, unit: Unit) -> Iterator[fx.Node]:
        if unit.is_launch:
            return (s.node for s in unit.program.slots)
        return (view.anchor for view in self._bare(unit.nodes[0]).values())

    def write(self, module: torch.nn.Module) -> tuple[Callable[[list], Any], str]:
        """The function, which takes the list of inputs and empties it, and its source."""
        placeholders = [n for n in self.graph.fx.nodes if n.op == "placeholder"]
        for i, node in enumerate(placeholders):
            self.names[node] = f"a{i}"
        for node in self.graph.fx.nodes:
            if node.op == "get_attr":
                self.names[node] = self._constant(_attribute(module, node.target), "w")
        body = self._body()
        head = ["def call(args):"]
        if placeholders:
            head.append(f"    {', '.join(self.names[n] for n in placeholders)}, = args")
        head.append("    args.clear()")
        head += [f"    {name} = {code}" for name, code in self.streams.items()]
        head += [f"    {line}" for line in self.symbols.lines_for(placeholders, self.names)]
        head += [f"    {line}" for line in self._boundary_lines(placeholders, module)]
        text = "\n".join(head + [f"    {line}" for line in body]) + "\n"
        exec(compile(text, "<gint plan>", "exec"), self.space)
        self.symbols.refuse_unknown(self.space["call"], text)
        return self.space["call"], text

    def _body(self) -> list[str]:
        blocks = []
        for unit in self.units:
            self.lines = []
            self._launch(unit) if unit.is_launch else self._call(unit.nodes[0])
            blocks.append(self.lines)
        self.lines = []
        bare = {n: self._bare_name(view) for n, view in self._returned_bare().items()}
        result = f"return {self._argument(tuple(self._output().args[0]), bare)}"
        blocks.append(self.lines)
        return [*with_deletions(blocks, result), result]

    def _output(self) -> fx.Node:
        return next(n for n in reversed(self.graph.fx.nodes) if n.op == "output")

    # Values that no guard has seen

    def _boundary_lines(self, placeholders: list[fx.Node], module: torch.nn.Module) -> list[str]:
        """What a forward graph notes for its backward graph, and what that one does about inputs
        that launches read."""
        if self.saving is None:
            return []
        saving = self._constant(self.saving, "saving")
        if not self.is_backward:
            return [f"if saved_tensors_hooks(False) is not None: {saving}.hooked = True"]
        given = [n for n in placeholders if isinstance(value_of(n), torch.Tensor)]
        everything = ", ".join(self.names[n] for n in placeholders)
        eager = self._constant(partial(_interpret, module), "eager")
        lines = [
            f"if (forward_ad._current_level >= 0 or modes()) and need_operators({everything}):",
            f"    return {eager}({everything})",
        ]
        lines += [self._resolve(n) for n in given if _is_tangent(n) and n in self.addressed]
        saved = [n for n in given if not _is_tangent(n) and n in self.addressed]
        if saved:
            lines += [f"if {saving}.hooked:", *(f"    {self._settle(n)}" for n in saved)]
        return lines

    def _resolve(self, node: fx.Node) -> str:
        name = self.names[node]
        bits = f"{name}.is_neg()"
        if tensor_of(node).dtype.is_complex:
            bits += f" or {name}.is_conj()"
        return f"if {bits}: {name} = resolved({name})"

    def _settle(self, node: fx.Node) -> str:
        name, tensor = self.names[node], tensor_of(node)
        layout = f"{tuple_source(tensor.shape)}, {tuple_source(tensor.strides)}"
        return f"{name} = settled({name}, {layout}, {self._constant(tensor.dtype, 'dtype')})"

    # Launches

    def _launch(self, unit: Unit) -> None:
        e = unit.program
        for node in e.outputs:
            self._allocate(node)
        pointers = ", ".join(f"{self._tensor(s.anchor)}.data_ptr()" for s in e.slots)
        layouts = tuple((memory_bytes(s.anchor), s.offset, s.strides) for s in e.slots)
        device, how = self._place(value_of(unit.nodes[0]).device)
        prepare, layouts_met = preparing(self.kernels[unit], device)
        layout = (e.extents, e.params, layouts)
        if names := sorted(symbols(layout)):
            code = f"lambda {', '.join(names)}, *texts: prepare(*{tuple_source(layout)})"
            bind = remembered(eval(code, self.space | {"prepare": prepare}))
            # 0.0 and -0.0 are one argument, and two parameters.
            names += [f"repr({name})" for name in names if is_float(name)]
            launch = f"{self._constant(bind, 'bind')}({', '.join(names)})"
        else:
            launch = self._constant(prepare(*layout), "launch")
        call = f"{launch}({pointers}{how})"
        self.launches.append(LaunchRecord(e.verified, self.kernels[unit], layouts_met))
        tensors = "".join(f"{self._tensor(s.anchor)}, " for s in e.slots)
        again = f"launch_on_copies({launch}, ({tensors}), {_written(e)}{how})"
        if may_fail(e.verified.program):
            call, again = f"raise_for({call})", f"raise_for({again})"
        if any(self._is_foreign(s.node) for s in e.slots):
            self.lines += ["try:", f"    {call}", "except VerificationError:", f"    {again}"]
        else:
            self.lines.append(call)

    def _is_foreign(self, node: fx.Node) -> bool:
        """Whether a value's memory is neither ours nor ATen's."""
        if self.graph.kinds[node] is NodeKind.INPUT:
            return True
        target = node.args[0].target if node.target is operator.getitem else node.target
        is_known = isinstance(target, torch._ops.OpOverload) and target.namespace in _KNOWN
        return not is_known and self.graph.kinds[node] is not NodeKind.COMPUTE

    def _place(self, device: torch.device) -> tuple[int | None, str]:
        """The ordinal that a launch on a device is prepared with, and what it is called with: the
        stream, and how to get scratch memory for its time."""
        if device.type == "cpu":
            return None, ""
        stream, memory = f"stream{device.index}", f"scratch{device.index}"
        self.space["current_stream"] = current_stream(device)
        self.space[memory] = scratch(device)
        self.streams[stream] = f"current_stream({device.index})"
        return device.index, f", stream={stream}, scratch={memory}"

    def _allocate(self, node: fx.Node) -> None:
        if node in self.placed:
            self.names[node] = self.names[self.placed[node]]
            return
        tensor = tensor_of(node)
        name = self.names[node] = self._new_name()
        self.lines.append(f"{name} = {self._fresh(tensor)}")

    def _fresh(self, tensor: TensorInfo) -> str:
        """How memory for a result is got: from torch, on the CPU from the pool if it is large."""
        size, stride, dtype = tensor.shape, tensor.strides, tensor.dtype
        arguments = f"{tuple_source(size)}, {tuple_source(stride)}, "
        arguments += self._constant(dtype, "dtype")
        if tensor.fake.device.type != "cpu":
            return f"{self._allocator(tensor.fake.device)}({arguments})"
        if symbols((size, stride)):
            return f"allocate({arguments})"
        if math.prod(size) * dtype.itemsize < POOLED_BYTES:
            return f"empty_strided({arguments})"
        return f"{self._constant(shelf(size, stride, dtype), 'shelf')}()"

    def _allocator(self, device: torch.device) -> str:
        name = f"empty_{device.type}{device.index}"
        if name not in self.space:
            self.space[name] = allocator(device)
        return name

    # Nodes left whole

    def _call(self, node: fx.Node) -> None:
        if self._assign_into_pool(node):
            return
        self._assign(node)
        name, tensor = self.names[node], find_tensor(node)
        for symbol, path in defined_symbols(node).items():
            self.lines += self.symbols.define(symbol, path_source(path, name))
        if tensor and node in self.addressed and self._is_foreign(node):
            self.lines.append(self._settle(node))
        elif tensor and node in self.seen:
            stride = tuple_source(tensor.strides)
            again = f"{name} = restride({name}, {stride})"
            self.lines.append(f"if {name}.stride() != {stride}: {again}")

    def _assign(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            text = f"{self._tensor(node.args[0])}[{node.args[1]}]"
        else:
            text = f"{self._function(node.target)}({self._arguments(node)})"
        self.names[node] = self._new_name()
        self.lines.append(f"{self.names[node]} = {text}")

    def _assign_into_pool(self, node: fx.Node) -> bool:
        """A large product is written into memory of the pool's, where its operator can."""
        into = _INTO.get(node.target)
        if into is None or node.kwargs:
            return False
        tensor = tensor_of(node)
        size = tensor.shape
        if tensor.fake.device.type != "cpu" or symbols((size, tensor.strides)):
            return False
        if math.prod(size) * tensor.dtype.itemsize < POOLED_BYTES:
            return False
        arguments = self._arguments(node)
        fresh = self._fresh(tensor)
        self.names[node] = self._new_name()
        self.lines.append(f"{self.names[node]} = {fresh}")
        self.lines.append(f"{self._function(into)}({arguments}, out={self.names[node]})")
        return True

    def _function(self, target: Any) -> str:
        name = getattr(target, "__name__", "function").replace(".", "_")
        return self._constant(entry_point(target), name if name.isidentifier() else "function")

    def _new_name(self) -> str:
        return f"v{len(self.names) + len(self.bare_names)}"

    def _tensor(self, node: fx.Node) -> str:
        """The variable that holds a node, a view being taken where it is first needed."""
        if node not in self.names:
            self._assign(node)
        return self.names[node]

    def _bare(self, node: fx.Node) -> dict[fx.Node, BareView]:
        """Arguments of a node left whole for which bare views do."""
        if not takes_bare_views(node.target):
            return {}
        views = {n: bare_view(self.graph, n) for n in node.all_input_nodes}
        return {n: view for n, view in views.items() if view is not None}

    def _returned_bare(self) -> dict[fx.Node, BareView]:
        """Returned views of memory made here that nothing else returned shows: theirs alone."""
        views = {n: bare_view(self.graph, n) for n in self._output().all_input_nodes}
        shown = Counter(self.graph.memory(n) for n in views)
        return {
            n: view for n, view in views.items()
            if view and shown[memory := self.graph.memory(n)] == 1
            and self.graph.kinds[memory] is not NodeKind.INPUT
        }  # fmt: skip

    def _arguments(self, node: fx.Node) -> str:
        bare = {n: self._bare_name(view) for n, view in self._bare(node).items()}
        found = [self._argument(a, bare) for a in node.args]
        found += [f"{k}={self._argument(v, bare)}" for k, v in node.kwargs.items()]
        return ", ".join(found)

    def _bare_name(self, view: BareView) -> str:
        if view not in self.bare_names:
            layout = ", ".join((tuple_source(view.size), tuple_source(view.strides)))
            code = f"reinterpret({self._tensor(view.anchor)}, {layout}, {source(view.offset)})"
            name = self.bare_names[view] = self._new_name()
            self.lines.append(f"{name} = {code}")
        return self.bare_names[view]

    def _argument(self, a: Any, bare: Mapping[fx.Node, str] = _NO_NAMES) -> str:
        """Source for an argument; `bare` names what stands for some nodes here."""
        if isinstance(a, fx.Node):
            if a in bare:
                return bare[a]
            if self.graph.kinds[a] is NodeKind.SCALAR and a not in self.names:
                return self._scalar(value_of(a))
            return self._tensor(a)
        if isinstance(a, (list, tuple)):
            items = ", ".join(self._argument(x, bare) for x in a)
            return f"[{items}]" if isinstance(a, list) else f"({items}{',' * (len(a) == 1)})"
        if isinstance(a, dict):
            return "{" + ", ".join(f"{k!r}: {self._argument(v, bare)}" for k, v in a.items()) + "}"
        if isinstance(a, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return self._scalar(a)
        if a is None or isinstance(a, (bool, int, float, str)):
            return repr(a)
        if isinstance(a, slice):
            return f"slice({', '.join(self._argument(x) for x in (a.start, a.stop, a.step))})"
        return self._constant(a, "c")

    @staticmethod
    def _scalar(value: Any) -> str:
        if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return source(key(value))
        return repr(value)

    def _constant(self, value: Any, stem: str) -> str:
        key = (stem, id(value))
        if key not in self.constants:
            name = self.constants[key] = f"{stem}_{len(self.constants)}"
            self.space[name] = value
        return self.constants[key]


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


def _written(e: Emitted) -> tuple[int, ...]:
    slots = e.verified.program.slots
    return tuple(n for n, slot in enumerate(slots) if slot.access.writes)


def _interpret(module: torch.nn.Module, *args: Any) -> Any:
    """The graph in torch's own operators."""
    return fx.Interpreter(module).run(*args)


def _attribute(module: torch.nn.Module, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module
