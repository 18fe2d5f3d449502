"""The plan of a graph, written out as one Python function.

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
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import fx

from gint.backend.errors import raise_for
from gint.backend.protocol import Kernel
from gint.host.launches import remembered
from gint.plan import (
    Allocate,
    Call,
    Check,
    Define,
    Expect,
    Foreign,
    Item,
    Launch,
    Named,
    Operation,
    Release,
    Step,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.contents import symbols_in
from gint.plan.expressions import source
from gint.program import Program, VerificationError
from gint.program.facts import may_fail
from gint.runtime.tensors.devices import allocator, current_stream, scratch
from gint.runtime.tensors.entry_points import (
    entry_point,
    named_object,
    overload,
    writing_into,
)
from gint.runtime.tensors.layouts import (
    launch_on_copies,
    reinterpret,
    resolved,
    restride,
    settled,
)
from gint.runtime.tensors.memory import POOLED_BYTES, allocate, empty_strided, shelf, span
from gint.runtime.tensors.placement import Placement
from gint.runtime.tensors.products import by_onednn
from gint.runtime.tensors.surroundings import forward_ad, modes, need_operators

from ..graph.sizes import is_float
from .body import write_body
from .builder import Built
from .foreign import Saving, saved_tensors_hooks
from .launch_record import LaunchRecord, preparing


class PlanWriter:
    """Writes the function. `kernels` are the plan's programs, loaded; `saving` is what a forward
    graph shares with its backward graph, and `module` the graph as torch runs it."""

    def __init__(
        self,
        built: Built,
        kernels: Sequence[Kernel],
        module: torch.nn.Module,
        saving: Saving | None = None,
        is_backward: bool = False,
    ) -> None:
        self.plan, self.boundary, self.kernels = by_onednn(built.plan), built.boundary, kernels
        self.module, self.saving, self.is_backward = module, saving, is_backward
        self.lines: list[str] = []
        self.space: dict[str, Any] = {
            "empty_strided": empty_strided, "allocate": allocate, "restride": restride,
            "reinterpret": reinterpret, "raise_for": raise_for,
            "VerificationError": VerificationError, "launch_on_copies": launch_on_copies,
            "math": math, "torch": torch, "resolved": resolved, "settled": settled,
            "need_operators": need_operators, "modes": modes, "forward_ad": forward_ad,
            "saved_tensors_hooks": saved_tensors_hooks, "nan": float("nan"), "inf": float("inf"),
        }  # fmt: skip
        self.constants: dict[Any, str] = {}
        self.names = [f"a{i}" for i in range(len(self.plan.inputs))]
        self.names += [self.constant(value, "w") for value in built.constants]
        self.streams: dict[str, str] = {}
        self.launches: list[LaunchRecord] = []
        self.bound: dict[int, str] = {}  # by a launch's id, how it is called
        self.placement = Placement({}, {}, 0)
        self.flipped = built.flipped

    def write(self) -> tuple[Callable[[list], Any], str]:
        """The function, which takes the list of inputs and empties it, and its source."""
        steps = self.plan.steps
        self._bind()
        start = self.plan.head
        inputs = self.names[: len(self.plan.inputs)]
        head = ["def call(args):"]
        if inputs:
            head.append(f"    {', '.join(inputs)}, = args")
        head.append("    args.clear()")
        self.write_steps(steps[:start])
        self._write_boundary(inputs)
        before, self.lines = self.lines, []
        write_body(self, steps[start:])
        streams = [f"{name} = {code}" for name, code in self.streams.items()]
        body = (f"    {line}" for line in (*streams, *before, *self.lines))
        text = "\n".join([*head, *body]) + "\n"
        exec(compile(text, "<gint plan>", "exec"), self.space)
        return self.space["call"], text

    def write_steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            _WRITERS[type(step)](self, step)

    def write_result(self) -> None:
        self.lines.append(f"return {self._argument(self.plan.result)}")

    def name(self, value: int) -> str:
        """The variable that holds a value."""
        if self.placement.holds(value):
            return f"f{value}"
        return self.names[value] if value < len(self.names) else f"v{value}"

    # Values that no guard has seen

    def _write_boundary(self, inputs: list[str]) -> None:
        """What a forward graph notes for its backward graph, and what that one does about inputs
        that launches read."""
        if self.saving is None:
            return
        saving = self.constant(self.saving, "saving")
        if not self.is_backward:
            self.lines.append(f"if saved_tensors_hooks(False) is not None: {saving}.hooked = True")
            return
        everything = ", ".join(inputs)
        eager = self.constant(partial(_interpret, self.module), "eager")
        self.lines += [
            f"if (forward_ad._current_level >= 0 or modes()) and need_operators({everything}):",
            f"    return {eager}({everything})",
        ]
        self.lines += [self._resolve(value) for value in self.boundary.tangents]
        if self.boundary.saved:
            self.lines.append(f"if {saving}.hooked:")
            self.lines += [f"    {self._settled(step)}" for step in self.boundary.saved]

    def _resolve(self, value: int) -> str:
        name, kind = self.name(value), self.plan.inputs[value].type
        bits = f"{name}.is_neg()"
        if isinstance(kind, TensorType) and kind.dtype.startswith("complex"):
            bits += f" or {name}.is_conj()"
        return f"if {bits}: {name} = resolved({name})"

    # Steps

    def _define(self, step: Define) -> None:
        code, path = self.name(step.value), list(step.path)
        while path:
            part = path.pop(0)
            if part == "int":
                code = f"int({code})"
            elif isinstance(part, int):
                code = f"{code}[{part}]"
            elif part.startswith(("//", "+", "-")):
                code = f"({code} {part})"
            else:
                given = path.pop(0) if path and isinstance(path[0], int) else ""
                code = f"{code}.{part}({given})"
        self.lines.append(f"{step.symbol} = {code}")

    def _check(self, step: Check) -> None:
        self.lines.append(
            f"if not ({source(step.condition)}): raise RuntimeError({step.message!r})"
        )

    def _allocate(self, step: Allocate) -> None:
        self.lines.append(f"{self.name(step.value)} = {self._fresh(step)}")

    def _fresh(self, step: Allocate) -> str:
        """How memory for a result is got: from torch, on the CPU from the pool if it is large."""
        size: Any = step.type.size
        stride: Any = step.type.strides
        dtype = self._dtype(step.type)
        arguments = f"{_tuple(size)}, {_tuple(stride)}, {self.constant(dtype, 'dtype')}"
        device = torch.device(step.device)
        if device.type != "cpu":
            return f"{self._allocator(device)}({arguments})"
        if symbols_in((size, stride)):
            return f"allocate({arguments})"
        if span(size, stride) * dtype.itemsize < POOLED_BYTES:
            return f"empty_strided({arguments})"
        return f"{self.constant(shelf(size, stride, dtype), 'shelf')}()"

    def _allocator(self, device: torch.device) -> str:
        name = f"empty_{device.type}{device.index}"
        if name not in self.space:
            self.space[name] = allocator(device)
        return name

    def _bind(self) -> None:
        """Bind the launches of static sizes, and say how those of others are found: equal layers
        have the same."""
        known: dict[tuple, tuple[str, LaunchRecord]] = {}
        for step in self.plan.steps:
            if isinstance(step, Launch):
                slots = tuple([(slot.nbytes, slot.offset, slot.strides) for slot in step.slots])
                layout = (step.extents, step.params, slots)
                # 0.0 and -0.0 are equal, and two parameters.
                key = (step.program, step.device, layout, repr(step.params))
                if key not in known:
                    known[key] = self._bound(step, layout)
                self.bound[id(step)], record = known[key]
                self.launches.append(record)

    def _launch(self, step: Launch) -> None:
        program = self.plan.programs[step.program].program
        tensors = [self.name(slot.value) for slot in step.slots]
        pointers = ", ".join(f"{name}.data_ptr()" for name in tensors)
        _, how = self._place(torch.device(step.device))
        launch = self.bound[id(step)]
        call = f"{launch}({pointers}{how})"
        shown = "".join(f"{name}, " for name in tensors)
        again = f"launch_on_copies({launch}, ({shown}), {_written(program)}{how})"
        if may_fail(program):
            call, again = f"raise_for({call})", f"raise_for({again})"
        if step.on_copies:
            self.lines += ["try:", f"    {call}", "except VerificationError:", f"    {again}"]
        else:
            self.lines.append(call)

    def _bound(self, step: Launch, layout: tuple) -> tuple[str, LaunchRecord]:
        """How a launch is called, and its record."""
        ordinal, _ = self._place(torch.device(step.device))
        kernel = self.kernels[step.program]
        prepare, layouts_met = preparing(kernel, ordinal)
        record = LaunchRecord(self.plan.programs[step.program], kernel, layouts_met)
        names = sorted(symbols_in(layout))
        if not names:
            return self.constant(prepare(*layout), "launch"), record
        code = f"lambda {', '.join(names)}, *texts: prepare(*{_tuple(layout)})"
        bind = remembered(eval(code, self.space | {"prepare": prepare}))
        # 0.0 and -0.0 are one argument, and two parameters.
        names += [f"repr({name})" for name in names if is_float(name)]
        return f"{self.constant(bind, 'bind')}({', '.join(names)})", record

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

    def _call(self, step: Call) -> None:
        given = [self._argument(a) for a in step.args]
        given += [f"{k}={self._argument(v)}" for k, v in step.kwargs]
        name = self.name(step.value)
        if step.into:
            assert isinstance(step.operator, str)
            given.append(f"out={name}")
            writing = self._named(writing_into(step.operator), f"{step.operator.split('.')[1]}_out")
            self.lines.append(f"{writing}({', '.join(given)})")
            return
        operator = step.operator
        target = operator.value if isinstance(operator, Foreign) else overload(operator)
        function = self._named(entry_point(target), getattr(target, "__name__", "function"))
        self.lines.append(f"{name} = {function}({', '.join(given)})")

    def _named(self, function: Callable[..., Any], name: str) -> str:
        name = name.replace(".", "_")
        return self.constant(function, name if name.isidentifier() else "function")

    def _item(self, step: Item) -> None:
        self.lines.append(f"{self.name(step.value)} = {self.name(step.of)}[{step.number}]")

    def _view(self, step: View) -> None:
        layout = f"{_tuple(step.size)}, {_tuple(step.strides)}, {source(step.offset)}"
        code = f"reinterpret({self.name(step.of)}, {layout})"
        self.lines.append(f"{self.name(step.value)} = {code}")

    def _expect(self, step: Expect) -> None:
        if step.is_foreign:
            self.lines.append(self._settled(step))
            return
        name, size = self.name(step.value), _tuple(step.type.size)
        stride = _tuple(step.type.strides)
        again = f"{name} = restride({name}, {size}, {stride})"
        self.lines.append(f"if {name}.stride() != {stride}: {again}")

    def _settled(self, step: Expect) -> str:
        name, dtype = self.name(step.value), self.constant(self._dtype(step.type), "dtype")
        layout = f"{_tuple(step.type.size)}, {_tuple(step.type.strides)}"
        return f"{name} = settled({name}, {layout}, {dtype})"

    def _release(self, step: Release) -> None:
        self.lines.append(f"del {', '.join(sorted(map(self.name, step.values)))}")

    # Arguments

    def _argument(self, a: Any) -> str:
        """Source for an argument."""
        if isinstance(a, Use):
            return self.name(a.value)
        if isinstance(a, (list, tuple)):
            items = ", ".join(self._argument(x) for x in a)
            return f"[{items}]" if isinstance(a, list) else f"({items}{',' * (len(a) == 1)})"
        if isinstance(a, dict):
            return "{" + ", ".join(f"{k!r}: {self._argument(v)}" for k, v in a.items()) + "}"
        if isinstance(a, (Symbol, Operation)):
            return source(a)
        if a is None or isinstance(a, (bool, int, float, str)):
            return repr(a)
        if isinstance(a, slice):
            return f"slice({', '.join(self._argument(x) for x in (a.start, a.stop, a.step))})"
        return self.constant(named_object(a) if isinstance(a, Named) else a.value, "c")

    def _dtype(self, kind: TensorType) -> torch.dtype:
        return getattr(torch, kind.dtype)

    def constant(self, value: Any, stem: str) -> str:
        key = (stem, id(value))
        if key not in self.constants:
            name = self.constants[key] = f"{stem}_{len(self.constants)}"
            self.space[name] = value
        return self.constants[key]


_WRITERS: dict[type, Callable[[PlanWriter, Any], None]] = {
    Define: PlanWriter._define, Check: PlanWriter._check, Allocate: PlanWriter._allocate,
    Launch: PlanWriter._launch, Call: PlanWriter._call, Item: PlanWriter._item,
    View: PlanWriter._view, Expect: PlanWriter._expect, Release: PlanWriter._release,
}  # fmt: skip


def _tuple(e: Any) -> str:
    """Source of an expression, or of nested tuples of them."""
    if not isinstance(e, tuple):
        return source(e)
    return "(" + "".join([f"{_tuple(x)}, " for x in e]) + ")"


def _written(program: Program) -> tuple[int, ...]:
    return tuple(n for n, slot in enumerate(program.slots) if slot.access.writes)


def _interpret(module: torch.nn.Module, *args: Any) -> Any:
    """The graph in torch's own operators."""
    return fx.Interpreter(module).run(*args)
