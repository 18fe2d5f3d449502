"""Saving a function: `export` writes what `gint.load` runs.

torch.export traces the function, and what comes of it takes the conductor's road to a plan. Knows
exported programs. Does not know how a plan is run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch._export.verifier import SpecViolationError
from torch.export import ExportedProgram

from gint.backend.protocol import Capabilities
from gint.operators import OPERATORS
from gint.plan import Call, Check, Define, Foreign, Operation, Plan, Symbol, TensorType
from gint.plan.contents import symbols_in
from gint.plan.expressions import source
from gint.plan.file import Saved, as_path, constant_bytes, write
from gint.plan.naming import renamed
from gint.plan.operators import is_saved_operator, names_of_operators
from gint.plan.verifier import PlanError, verify_plan
from gint.runtime.tensors.layouts import memory_of

from .capture import ExportError, captured, where_written
from .compiler import drop_dead_code
from .graph.heads import share_heads
from .graph.nodes import Graph
from .lowering.kinds import read_graph
from .naming import names_of
from .partitioner import GraphPartitioner
from .plan.builder import build
from .plan.expressions import expression
from .trace.exported import Traced, trace_exported
from .trace.exported_format import seen_by_storage
from .tree import TreeError, signature_of

#: Constants up to so many bytes in all are part of the file; larger ones lie beside it.
_MOST_INSIDE = 16 << 20
#: A mixture of experts calls an operator that has this in its name, and counts tokens before it.
_EXPERTS = "grouped_mm"
_EXPERTS_WAY_OUT = (
    'model.set_experts_implementation("batched_mm") has transformers\' mixtures of experts do '
    "without."
)


def export(
    model: Callable[..., Any] | ExportedProgram,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    path: str | Path,
    dynamic_shapes: Any = None,
    with_torch: bool = False,
    weights: str = "auto",
    quantize: str | Mapping[str, str] | None = None,
    quantize_activations: bool = True,
    operators: Iterable[str] = (),
) -> list[Path]:
    """Save a function for `gint.load`; the files written.

    `model` is a module or a function, called once with `args` and `kwargs` to trace it, or what
    torch.export made of one. `dynamic_shapes` are torch.export's: sizes that they name are free,
    and have these names in messages.
    `path` ends in .gint. `with_torch` says that torch will be there where it runs: then it may call
    any operator on gint's list, and otherwise those that gint has for NumPy arrays. `weights` is
    "inside" the file, "beside" it in a .safetensors file, or "auto": beside, if they are more than
    16 MiB. `quantize` and `quantize_activations` are torch.compile's options `weights` and
    `quantize_activations`: in which format products and embeddings are kept. `operators` names
    further ATen operators it may call, which `gint.load` must be given too.

    Raises ExportError (a ValueError) for what cannot be saved: control flow that depends on data,
    operators that are not there, Python state that is part of the function; TypeError or ValueError
    for other arguments than these. Nothing is written.
    """
    path, operators = as_path(path), names_of_operators(operators)
    _refuse_wrong(path, weights, args, kwargs)
    exported = model
    if not isinstance(exported, ExportedProgram):
        exported = captured(model, tuple(args), dict(kwargs or {}), dynamic_shapes)
    with torch.no_grad():
        try:
            traced = _traced(exported, quantize, quantize_activations)
        except SpecViolationError as error:
            raise ExportError(
                f"torch.export cannot trace it: {error}. What a branch of torch.cond is given it "
                "must not write."
            ) from error
        saved = _saved(traced, exported, operators, with_torch)
    named = renamed(saved.plan, names_of(saved.plan, saved.signature, dynamic_shapes))
    saved = saved._replace(plan=named)
    nbytes = sum(constant_bytes(c.type) for c in saved.plan.constants)
    beside = weights == "beside" or (weights == "auto" and nbytes > _MOST_INSIDE)
    return write(path, saved, beside)


def _refuse_wrong(path: Path, weights: str, args: Any, kwargs: Any) -> None:
    """Before anything is traced."""
    if path.suffix != ".gint":
        raise ValueError(f"path ends in .gint, unlike {str(path)!r}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} for {path.name!r}.")
    if weights not in ("auto", "inside", "beside"):
        raise ValueError(
            f"weights is 'auto', 'inside' or 'beside', not {weights!r}; quantize= takes a format."
        )
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args is a tuple of the arguments, not a {type(args).__name__}: (x,).")
    if not isinstance(kwargs, (Mapping, type(None))):
        raise TypeError(f"kwargs is a dict of arguments, not a {type(kwargs).__name__}.")


def _traced(
    exported: ExportedProgram, quantize: str | Mapping[str, str] | None, quantize_activations: bool
) -> Traced:
    if quantize is None and "gint.conductor.weights.operators" not in sys.modules:
        return trace_exported(exported)  # there can be no quantised matrix
    from gint.quantized import WeightFormats

    from .weights.model import cpu_products
    from .weights.saving import hold_blocks, quantize_program

    matrices = []

    def change(program: ExportedProgram) -> None:
        if quantize is not None:
            how = WeightFormats.of(quantize), cpu_products(None), quantize_activations
            matrices.extend(quantize_program(program, *how))

    traced = trace_exported(exported, change)
    hold_blocks(traced.module)
    return traced


def _saved(
    traced: Traced, exported: ExportedProgram, operators: frozenset[str], with_torch: bool
) -> Saved:
    module = traced.module
    drop_dead_code(module.graph)
    share_heads(module.graph)
    can = Capabilities()
    graph = read_graph(module.graph, "cpu", None, can.types)
    partitioner = GraphPartitioner(can.max_slots, False, can.max_registers, can.types)
    partition = partitioner.partition(graph)
    try:
        built = build(graph, partition, module)
    except LookupError as error:
        raise ExportError(str(error)) from error
    plan = _with_checks(built.plan, traced)
    _refuse_unknown(plan, graph, operators, with_torch)
    try:
        verify_plan(plan, operators)
        signature = signature_of(exported)
    except (PlanError, TreeError) as error:
        raise ExportError(str(error)) from error
    return Saved(plan, signature, tuple([memory_of(t) for t in built.constants]))


def _with_checks(plan: Plan, traced: Traced) -> Plan:
    """The plan that begins, once its sizes are known, by checking what they must be."""
    checks = [Check(expression(b.condition), b.message) for b in traced.bounds]
    # Sizes that depend on values are compared where they are made.
    known = {step.symbol for step in plan.steps[: plan.head] if isinstance(step, Define)}
    checks = [check for check in checks if symbols_in(check.condition) <= known]
    # Of a size 2 * n + 3 that is 1, n would be -1.
    for step in plan.steps[: plan.head]:
        if isinstance(step, Define) and any(str(part).startswith("-") for part in step.path):
            no_less = Operation("ge", (Symbol(step.symbol), 0))
            checks.append(Check(no_less, f"{step.symbol} is at least 0."))
    checks = [check for check in checks if check.condition is not True]
    defined, compared = _strides_checks(plan, traced)
    first = plan.head
    steps = (*plan.steps[:first], *defined, *checks, *compared, *plan.steps[first:])
    return replace(plan, steps=steps)


def _strides_checks(plan: Plan, traced: Traced) -> tuple[list[Define], list[Check]]:
    """Steps that refuse other strides than the plan's of inputs that something counts in."""
    placeholders = [n for n in traced.module.graph.nodes if n.op == "placeholder"]
    defined: list[Define] = []
    checks: list[Check] = []
    for node in seen_by_storage(traced.module.graph):
        n = placeholders.index(node)
        name, t = plan.inputs[n].name, plan.inputs[n].type
        if not isinstance(t, TensorType):
            continue
        for d, (size, stride) in enumerate(zip(t.size, t.strides, strict=True)):
            if size in (0, 1):
                continue
            symbol = f"stride_{d}_of_{n}"
            defined.append(Define(symbol, n, ("stride", d)))
            fits = Operation("eq", (Symbol(symbol), stride))
            shown = ", ".join(map(source, t.strides))
            said = f"as_strided counts in the memory of {name}, and it was exported for strides of "
            said += f"({shown}) elements: give it a copy that has them."
            checks.append(Check(Operation("or", (Operation("lt", (size, 2)), fits)), said))
    return defined, checks


def _refuse_unknown(plan: Plan, graph: Graph, operators: frozenset[str], with_torch: bool) -> None:
    """Raise ExportError for an operator that will not be there."""
    for step in plan.steps:
        if not isinstance(step, Call):
            continue
        name = step.operator
        if isinstance(name, Foreign):
            why = f"{name.name} is Python or graphs of its own, which no file holds"
            _refuse(graph, name.value, why)
        elif not is_saved_operator(name) and name not in operators:
            why = f"{name} is not among the operators that every saved function may call"
            _refuse(graph, name, f"{why}; name it in operators=, here and for gint.load")
        elif not with_torch and name not in OPERATORS:
            why = f"{name} needs torch, and with_torch=True says that it will be there"
            _refuse(graph, name, why)


def _refuse(graph: Graph, target: Any, why: str) -> None:
    node = next((n for n in graph.fx.nodes if target in (n.target, str(n.target))), None)
    because = ""
    if node is not None and node in graph.refusals:
        because = f" It is left whole: {graph.refusals[node].reason}."
    if any(_EXPERTS in str(n.target) for n in graph.fx.nodes):
        because += f" {_EXPERTS_WAY_OUT}"
    raise ExportError(f"{why}.{because}{where_written(node)}")
