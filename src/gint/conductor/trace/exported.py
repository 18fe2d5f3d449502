"""From torch.export's program to ATen operators that a plan is made of.

The program is made functional and traced once more, with the decompositions of every other road.
Its parameters, buffers and constants become attributes of the graph; what it writes into buffers
and inputs is copied there in the end, as AOTAutograd leaves it, so that the road from there is the
same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from torch.utils._pytree import TreeSpec

from .dropouts import without_dropouts
from .exported_format import ChannelsLast, convolve_with_packed_weights
from .inference import mutates, trace_operators

_CONSTANTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
_WRITTEN = (
    OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION, OutputKind.USER_INPUT_MUTATION,
)  # fmt: skip


class Bound(NamedTuple):
    """A condition on symbols, as torch has it, that must hold where the graph runs."""

    condition: Any
    message: str


class Traced(NamedTuple):
    """The graph, whose placeholders are the tensors and numbers that a call gives and whose results
    are those that it returns; and what must hold of sizes."""

    module: fx.GraphModule
    bounds: tuple[Bound, ...]


def trace_exported(
    exported: ExportedProgram, change: Callable[[ExportedProgram], Any] | None = None
) -> Traced:
    """Trace a program, once functional and changed by `change`, into a graph of operators.

    Raises ValueError for inputs that are no tensors or numbers, and what tracing raises.
    """
    with _called_with_lists(exported), without_dropouts(exported):
        functional = exported.run_decompositions({})
    if change is not None:
        change(functional)
    module, signature = functional.graph_module, functional.graph_signature
    placeholders = [n for n in module.graph.nodes if n.op == "placeholder"]
    values = [n.meta.get("val") for n in placeholders]
    for spec in signature.input_specs:
        if spec.kind not in (*_CONSTANTS, InputKind.USER_INPUT):
            raise ValueError(f"The input {spec.arg.name} is no tensor ({spec.kind.name}).")
    fixed = {
        n for n, spec in enumerate(signature.input_specs) if isinstance(spec.arg, ConstantArgument)
    }
    mode = next((v.fake_mode for v in values if isinstance(v, torch.Tensor)), None)
    if mode is None:
        raise ValueError("It takes and holds no tensor, so there is nothing to run.")
    given = [v for n, v in enumerate(values) if n not in fixed]
    traced = trace_operators(_called(ChannelsLast(module), values, fixed), given, mode)
    if mutates(traced):  # some operator sets the strides of its result in place
        traced = trace_operators(_called(fx.Interpreter(module), values, fixed), given, mode)
    if mutates(traced):  # some operator (rms_norm) is made of others, one of which writes
        functional_call = torch.func.functionalize(_called(fx.Interpreter(traced), given, set()))
        traced = trace_operators(lambda *args: functional_call(*args), given, mode)
    specs = [spec for n, spec in enumerate(signature.input_specs) if n not in fixed]
    nodes = _hold_constants(traced, specs, functional)
    convolve_with_packed_weights(traced)
    _drop_what_is_known(traced.graph)
    _write_back(traced, signature.output_specs, nodes)
    traced.graph.lint()
    return Traced(traced, tuple(_bounds(functional, mode.shape_env)))


def _drop_what_is_known(graph: fx.Graph) -> None:
    """Take out assertions on what a plan says of a tensor anyway: each would be a call, and have
    the tensor stored for it."""
    asserting = torch.ops.aten._assert_tensor_metadata.default
    for node in graph.find_nodes(op="call_function", target=asserting):
        tensor, *said = node.args
        fake = tensor.meta["val"]
        is_same = all(what in (None, getattr(fake, k)) for k, what in node.kwargs.items())
        if is_same and all(what in (None, fake.dtype) for what in said):
            graph.erase_node(node)


@contextmanager
def _called_with_lists(exported: ExportedProgram) -> Iterator[None]:
    """Let the program take and return lists inside, where it has objects of somebody's own. torch
    makes these to trace it anew, and what is computed meanwhile (a cache of keys and values makes
    tensors) would become part of the program, or its ruin."""
    signature = exported.module_call_graph[0].signature
    before = signature.in_spec, signature.out_spec
    signature.in_spec, signature.out_spec = map(_of_lists, before)
    try:
        with warnings.catch_warnings():  # torch copies specs, and warns of the class that it copies
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        signature.in_spec, signature.out_spec = before


def _of_lists(spec: TreeSpec) -> TreeSpec:
    if spec.is_leaf():
        return spec
    inner = [_of_lists(child) for child in spec.children()]
    is_plain = spec.type in (tuple, list, dict)
    return TreeSpec(spec.type if is_plain else list, spec.context if is_plain else None, inner)


def _called(interpreter: fx.Interpreter, values: list[Any], fixed: set[int]) -> Callable[..., Any]:
    """The graph as a function of those inputs that are not `fixed`. What it calls is told where it
    is written."""

    def call(*given: Any) -> Any:
        left = iter(given)
        args = [v if n in fixed else next(left) for n, v in enumerate(values)]
        with fx.traceback.preserve_node_meta():
            return interpreter.run(*args)

    return call


def _hold_constants(
    traced: fx.GraphModule, specs: list[Any], program: ExportedProgram
) -> dict[str, fx.Node]:
    """Make attributes of the inputs that a call does not give. The node of every input, by the name
    it has in the program: of a buffer that of the buffer."""
    found: dict[str, fx.Node] = {}
    placeholders = [n for n in traced.graph.nodes if n.op == "placeholder"]
    for node, spec in zip(placeholders, specs, strict=True):
        if spec.kind is InputKind.USER_INPUT:
            node.name, found[spec.arg.name] = spec.arg.name, node
            continue
        value = program.state_dict.get(spec.target)
        value = program.constants[spec.target] if value is None else value
        register_constant(traced, spec.target, value)
        with traced.graph.inserting_before(node):
            held = traced.graph.get_attr(spec.target)
        held.meta.update(node.meta)
        node.replace_all_uses_with(held)
        traced.graph.erase_node(node)
        found[spec.target] = held
    return found


def register_constant(module: torch.nn.Module, path: str, value: torch.Tensor) -> None:
    """Make a tensor the attribute at a path."""
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(module, parent):
            module.add_module(parent, torch.nn.Module())
        module = getattr(module, parent)
    module.register_buffer(name, value.detach())


def _write_back(traced: fx.GraphModule, specs: list[Any], nodes: dict[str, fx.Node]) -> None:
    """Copy what the graph returns for inputs it has changed into them, and return the rest."""
    output = next(n for n in reversed(traced.graph.nodes) if n.op == "output")
    returned = []
    for value, spec in zip(output.args[0], specs, strict=True):
        if spec.kind not in _WRITTEN:
            returned.append(value)
            continue
        target = nodes[spec.target]
        with traced.graph.inserting_before(output):
            copied = traced.graph.call_function(torch.ops.aten.copy_.default, (target, value))
        copied.meta["val"] = target.meta["val"]
    output.args = (tuple(returned),)


def _bounds(program: ExportedProgram, env: Any) -> list[Bound]:
    """The ranges that the user gave to sizes, and what tracing relied on."""
    # Of two sizes that turned out to be equal one is left.
    only = env.replace if env is not None else lambda e: e
    found = []
    for symbol, span in program.range_constraints.items():
        size = only(symbol)
        # 0 and 1 are left out by torch's tracing, and not by what was traced.
        if span.lower.is_Integer and span.lower > 2:
            found.append(Bound(size >= span.lower, f"{size} is at least {span.lower}."))
        if span.upper.is_Integer:
            found.append(Bound(size <= span.upper, f"{size} is at most {span.upper}."))
    for guard in env.guards if env is not None else ():
        condition = only(guard.expr)
        found.append(Bound(condition, f"It was exported for sizes where {condition}."))
    return found
