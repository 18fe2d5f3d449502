"""A saved function as text: its signature, what it holds, and its steps with their programs.

Made for `gint explain model.gint`; nothing reads it back.
"""

from __future__ import annotations

from typing import Any

from gint.program import disassemble

from .expressions import Operation, Symbol, source
from .file import Opened, constant_bytes
from .model import (
    Allocate,
    Argument,
    Call,
    Check,
    Define,
    Expect,
    Item,
    Launch,
    Named,
    Plan,
    Release,
    Step,
    TensorType,
    Use,
    View,
)


def describe(opened: Opened) -> str:
    """The whole of a saved function."""
    plan, nbytes = opened.plan, sum(constant_bytes(c.type) for c in opened.plan.constants)
    name = opened.path.name if opened.path else "a saved plan"
    lines = [f"{name}: {_counts(plan)}", *_signature(opened)]
    where = f"in {opened.weights_path.name}" if opened.weights_path else "in the file"
    lines += ["", f"{len(plan.constants)} constants, {nbytes} bytes {where}"]
    first = len(plan.inputs)
    lines += [
        f"  w{first + n}  {c.name}  {type_text(c.type)}{'  state' * c.written}"
        for n, c in enumerate(plan.constants)
    ]
    lines += ["", "plan", *(f"  {line}" for line in steps_text(plan).splitlines())]
    for n, verified in enumerate(plan.programs):
        listing = disassemble(verified.program).splitlines()[1:]
        lines += ["", f"program {n}", *(f"  {line}" for line in listing)]
    return "\n".join(lines) + "\n"


def _counts(plan: Plan) -> str:
    launches = sum(isinstance(s, Launch) for s in plan.steps)
    calls = sum(isinstance(s, Call) for s in plan.steps)
    return f"{len(plan.programs)} programs, {launches} launches, {calls} calls of operators"


def _signature(opened: Opened) -> list[str]:
    signature, plan = opened.signature, opened.plan
    lines = []
    named = zip(signature.names, signature.args, strict=True)
    given = [*((name or f"argument {n}", tree) for n, (name, tree) in enumerate(named)),
             *signature.kwargs.items()]  # fmt: skip
    for name, tree in given:
        lines.append(f"  {name}: {_tree(tree, plan)}")
    return ["takes", *lines, "returns", f"  {_tree(signature.result, plan, is_result=True)}"]


def _tree(tree: Any, plan: Plan, is_result: bool = False) -> str:
    if isinstance(tree, Use):
        if is_result:
            return _argument(plan.result[tree.value], plan)
        given = plan.inputs[tree.value]
        return f"{type_text(given.type)}{', written into' * given.written}"
    if isinstance(tree, (list, tuple)):
        items = ", ".join(_tree(x, plan, is_result) for x in tree)
        return f"[{items}]" if isinstance(tree, list) else f"({items})"
    if isinstance(tree, dict):
        items = ", ".join(f"{k}: {_tree(x, plan, is_result)}" for k, x in tree.items())
        return "{" + items + "}"
    return repr(tree)


def type_text(t: TensorType | str | None) -> str:
    """A type as text: float32[n, 8], or the name of a number's."""
    if not isinstance(t, TensorType):
        return str(t)
    return f"{t.dtype}[{', '.join(map(source, t.size))}]"


def steps_text(plan: Plan) -> str:
    """A line per step."""
    return "".join(f"{_step(step, plan)}\n" for step in plan.steps) + (
        f"return {_argument(plan.result, plan)}\n"
    )


def _name(value: int, plan: Plan) -> str:
    inputs, constants = len(plan.inputs), len(plan.constants)
    return f"{'a' if value < inputs else 'w' if value < inputs + constants else 'v'}{value}"


def _step(step: Step, plan: Plan) -> str:
    name = _name(step.value, plan) if hasattr(step, "value") else ""
    if isinstance(step, Define):
        return f"{step.symbol} <- {name} {' '.join(map(str, step.path))}".rstrip()
    if isinstance(step, Check):
        return f"check {source(step.condition)}: {step.message}"
    if isinstance(step, Allocate):
        return f"{name} <- allocate {type_text(step.type)}"
    if isinstance(step, Launch):
        program = plan.programs[step.program].program
        axes = zip(program.axes, step.extents, strict=True)
        extents = ", ".join(f"{a.name} = {source(e)}" for a, e in axes)
        slots = zip(program.slots, step.slots, strict=True)
        shown = ", ".join(f"{s.name} {_name(u.value, plan)}" for s, u in slots)
        return f"launch program {step.program} ({extents}): {shown}"
    if isinstance(step, Call):
        given = [_argument(a, plan) for a in step.args]
        given += [f"{k}={_argument(a, plan)}" for k, a in step.kwargs]
        return f"{name} <- {'into ' * step.into}{step.operator}({', '.join(given)})"
    if isinstance(step, Item):
        return f"{name} <- {_name(step.of, plan)}[{step.number}]"
    if isinstance(step, View):
        sizes, strides = (", ".join(map(source, e)) for e in (step.size, step.strides))
        place = f"[{sizes}] strides ({strides}) offset {source(step.offset)}"
        return f"{name} <- view {_name(step.of, plan)} {place}"
    if isinstance(step, Expect):
        return f"expect {name} {type_text(step.type)}"
    assert isinstance(step, Release)
    return f"release {', '.join(_name(v, plan) for v in step.values)}"


def _argument(a: Argument, plan: Plan) -> str:
    if isinstance(a, Use):
        return _name(a.value, plan)
    if isinstance(a, (Symbol, Operation)):
        return source(a)
    if isinstance(a, Named):
        return a.name
    if isinstance(a, (list, tuple)):
        items = ", ".join(_argument(x, plan) for x in a)
        return f"[{items}]" if isinstance(a, list) else f"({items})"
    if isinstance(a, dict):
        return "{" + ", ".join(f"{k}: {_argument(x, plan)}" for k, x in a.items()) + "}"
    return repr(a)
