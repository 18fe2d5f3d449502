"""From an FX graph of ATen operators to something callable."""

from __future__ import annotations

import gc
import logging
import operator
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import fx
from torch._guards import TracingContext

from gint.backend.protocol import Backend, Capabilities, Kernel
from gint.host.launches import load_kernel
from gint.plan import Plan
from gint.program import disassemble
from gint.runtime.tensors.devices import current_stream

from .graph.circular import find_circular_pads
from .graph.duplicates import merge_equal
from .graph.externs import name_of
from .graph.halves import join_halves
from .graph.heads import share_heads
from .graph.nodes import Graph, NodeKind, find_tensor, forget_tensors, value_of
from .graph.writes import drop_rewrites, is_write
from .lowering.kinds import read_graph
from .lowering.numbers import bring_numbers
from .options import Options
from .partition.order import Unit
from .partition.partitioning import Partition
from .partitioner import GraphPartitioner
from .plan.builder import Built, build
from .plan.capturable import why_not_captured, written_inputs
from .plan.foreign import Saving
from .plan.replay import Replay, capture_on_cuda, say_not_replayed
from .plan.writer import PlanWriter
from .records import GraphRecord, left_to_eager, remember
from .selection import backend_for
from .trace.returned_views import view_written_inputs

log = logging.getLogger(__name__)


class GintCompiledSubgraph:
    """A compiled graph: call it with the list of inputs; the list is emptied, results come as a
    tuple. `record` tells what was made of the graph; `built` is its plan, or None for a graph left
    to eager."""

    def __init__(
        self, function: Callable[[list], Any], record: GraphRecord, built: Built | None = None
    ) -> None:
        self.function, self.record, self.built = function, record, built
        # On the object, not the class: what torch wraps around it copies the object's __dict__.
        self._boxed_call = True

    def __call__(self, args: list) -> Any:
        return self.function(args)


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection inside, if there was any outside.

    Compiling makes many objects that stay. A collection meanwhile walks those and all of Dynamo's,
    finds nothing, and takes as long as compiling does.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class GintCompiler:
    """Converts FX graphs of functional ATen operators to bytecode and a plan that runs it.

    `explains` adds to the record what only `explain` wants.
    """

    def __init__(self, options: Options | None = None, explains: bool = False) -> None:
        self.options, self.explains = options or Options(), explains

    def compile(
        self,
        module: fx.GraphModule,
        example_inputs: Sequence[Any] = (),
        saving: Saving | None = None,
        is_backward: bool = False,
    ) -> GintCompiledSubgraph:
        """The compiled graph. Nodes need `meta["val"]`, as AOTAutograd leaves it. The forward and
        the backward graph of one function have one `saving`."""
        if is_backward:
            _keep_what_was_saved()
        else:
            view_written_inputs(module.graph)
        drop_dead_code(module.graph)
        forget_tensors(module.graph)
        device = device_of(module.graph)
        backend, unusable = backend_for(device, self.options.backend)
        try:
            with collector_paused():
                writer = partial(PlanWriter, module=module, saving=saving, is_backward=is_backward)
                return self._compile(module, device, backend, unusable, writer)
        except Exception as error:
            # The last resort, so that nothing fails here that runs in eager.
            if self.options.check:
                raise
            return _left_to_eager(module, f"{type(error).__name__}: {error}")

    def _compile(
        self,
        module: fx.GraphModule,
        device: str,
        backend: Backend | None,
        unusable: str | None,
        plan_writer: Callable[..., PlanWriter],
    ) -> GintCompiledSubgraph:
        find_circular_pads(module.graph)
        share_heads(module.graph)
        join_halves(module.graph)
        merge_equal(module.graph)
        drop_rewrites(module.graph)
        bring_numbers(module.graph, device)
        can = backend.capabilities if backend else Capabilities()
        graph = read_graph(module.graph, device, unusable, can.types)
        partition = self._partition(graph, can)
        units = partition.units
        name = backend.name if backend else ""
        built = build(graph, partition, module)
        kernels: list[Kernel] = []
        if backend is not None:  # otherwise nothing is lowered
            kernels = [load_kernel(backend, verified) for verified in built.plan.programs]
        writer = plan_writer(built, kernels)
        function, text = writer.write()
        if self.options.cuda_graphs:
            function = _replayed(function, graph, partition, built.plan)
        record = _record(graph, units, text, name)._replace(launches=tuple(writer.launches))
        if self.explains:
            from .text import texts  # for `explain` alone

            record = record._replace(**texts(graph, units))
        remember(record)
        log.debug("%d programs, %d units", record.programs, len(units))
        return GintCompiledSubgraph(function, record, built)

    def _partition(self, graph: Graph, can: Capabilities) -> Partition:
        wanted = self.options.max_tensors
        limit = can.max_slots if wanted is None else min(wanted, can.max_slots)
        partitioner = GraphPartitioner(limit, self.options.check, can.max_registers, can.types)
        return partitioner.partition(graph)


def drop_dead_code(graph: fx.Graph) -> None:
    """As torch does it, which looks at every node: only where some node has no users."""
    if any(not n.users for n in graph.nodes if n.op not in ("placeholder", "output")):
        graph.eliminate_dead_code()


def device_of(graph: fx.Graph) -> str:
    """The type of the device a graph computes on: that of most of its tensors, cpu if it has none.

    Zero-dimensional tensors on the CPU do not count.
    """
    found: Counter[str] = Counter()
    for node in graph.nodes:
        if tensor := find_tensor(node):
            kind = tensor.device.type
            found[kind] += kind != "cpu" or bool(tensor.shape)
    return found.most_common(1)[0][0] if found else "cpu"


def _keep_what_was_saved() -> None:
    """Tell torch that a backward graph overwrites nothing that was saved, so that a graph may
    be differentiated twice. (It asks no backend, and refuses that where sizes are symbols.)"""
    context = TracingContext.try_get()
    if context is not None and context.fw_metadata is not None:
        context.fw_metadata.bw_donated_idxs = []


def _left_to_eager(module: fx.GraphModule, reason: str) -> GintCompiledSubgraph:
    warnings.warn(
        f"gint leaves a graph to eager, since compiling it failed: {reason}\n"
        'This is a bug in gint. options={"check": True} shows where it happens.',
        RuntimeWarning,
        stacklevel=2,
    )
    record = left_to_eager(f"compiling it failed: {reason}")
    remember(record)
    # One a call: an interpreter holds the values of the call that it makes.
    return GintCompiledSubgraph(lambda args: fx.Interpreter(module).boxed_run(args), record)


def _replayed(
    function: Callable[[list], Any], graph: Graph, partition: Partition, plan: Plan
) -> Callable[[list], Any]:
    """The plan as CUDA graphs, or as it is where that would not do the same."""
    reason = why_not_captured(graph, partition)
    if reason is not None:
        say_not_replayed(reason)
        return function
    values = (value_of(n) for n in graph.fx.nodes)
    device = next(v.device for v in values if isinstance(v, torch.Tensor))
    here = partial(current_stream(device), device.index)
    return Replay(
        function, capture_on_cuda, here, written_inputs(plan),
        torch.cuda.is_current_stream_capturing,
    )  # fmt: skip


def _record(graph: Graph, units: list[Unit], plan: str, backend: str) -> GraphRecord:
    launches = [u for u in units if u.is_launch]
    programs = [u.program.recording.verified for u in launches]
    listings = {p: disassemble(p.program) for p in dict.fromkeys(programs)}
    externs: Counter[str] = Counter()
    for unit in units:
        node = unit.nodes[0]
        is_extern = not unit.is_launch and graph.kinds[node] is NodeKind.EXTERN
        if is_extern and isinstance(node.target, torch._ops.OpOverload):
            externs[_extern_name(node)] += 1
    return GraphRecord(
        programs=len(programs),
        instructions=sum(p.program.instruction_count for p in programs),
        externs=dict(externs),
        fallbacks=tuple(graph.refusals.values()),
        listings=tuple(listings[p] for p in programs),
        plan=plan,
        backend=backend,
        covers=_covered(graph, launches),
    )


def _extern_name(node: fx.Node) -> str:
    """An operator's name; of one of ours that of the matrix's format too."""
    if node.target.namespace != "gint":
        return name_of(node.target)
    from .weights.operators import matrix_of  # whoever made the node has imported it

    found = matrix_of(node)
    assert found is not None
    return f"{name_of(node.target)}[{found.format.name}]"


def _covered(graph: Graph, launches: list[Unit]) -> tuple[tuple[str, ...], ...]:
    """The operators each program computes, by name, in the graph's order."""
    position = {node: i for i, node in enumerate(graph.fx.nodes)}
    covers = []
    for unit in launches:
        computed = (n for n in _inside(graph, unit) if graph.kinds[n] is NodeKind.COMPUTE)
        ordered = sorted(computed, key=position.__getitem__)
        operators = (n.args[0] if n.target is operator.getitem else n for n in ordered)
        covers.append(tuple(dict.fromkeys(n.name for n in operators)))
    return tuple(covers)


def _inside(graph: Graph, unit: Unit) -> set[fx.Node]:
    """The nodes between what a program stores and what it loads."""
    stop = {slot.node for slot in unit.program.slots} - set(unit.nodes)
    found: set[fx.Node] = set()
    waiting = list(unit.nodes)
    while waiting:
        node = waiting.pop()
        inside = graph.kinds[node] in (NodeKind.COMPUTE, NodeKind.VIEW, NodeKind.TUPLE)
        if node in found or node in stop or not inside or graph.base(node) in stop:
            continue
        found.add(node)
        # A write does not compute what it leaves as it was.
        waiting += [node.args[1]] if is_write(graph, node) else node.all_input_nodes
    return found
