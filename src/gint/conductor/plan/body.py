"""The body of a plan's function: native calls for runs of steps, on a frame if there is one.

    # f3: float32(8, 64) at byte 0
    # f4: float32(8, 32) at byte 2048
    frame = frames_1.take()
    _, run_2, f4, = frame
    try:
        # launch_0(a0, f3)
        # mm_out(f3, a1, out=f4)
        run_2(a0, a1)
        v5 = cumsum(f4, 0)
        return (v5,)
    finally:
        frames_1.give(frame)

Where there is nothing native, the steps are written one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from gint.plan import Call, Launch, Plan, Release, Step
from gint.plan.expressions import source
from gint.runtime.tensors.copies import copied_in
from gint.runtime.tensors.frame_contents import Contents, Known, shown_in
from gint.runtime.tensors.frames import Frames
from gint.runtime.tensors.native_runs import Bound
from gint.runtime.tensors.placement import Placement, is_small_input, place
from gint.runtime.tensors.runs import ATTENTION, JOIN, Run, joins_of, split, types_of
from gint.runtime.tensors.torch_shim import native_with_torch


class Writer(Protocol):
    """What writes single steps: a plan's lines so far, names in `space`, launches by their `id`."""

    plan: Plan
    lines: list[str]
    space: dict[str, Any]
    bound: dict[int, str]
    placement: Placement
    flipped: frozenset[int]
    is_backward: bool

    def write_steps(self, steps: Sequence[Step]) -> None: ...
    def write_result(self) -> None: ...
    def name(self, value: int) -> str: ...
    def constant(self, value: Any, stem: str) -> str: ...


def write_body(writer: Writer, steps: Sequence[Step]) -> None:
    """Write the steps and the result into `writer.lines`."""
    native = native_with_torch()
    bound, types = _bound(writer, native), types_of(writer.plan)
    copied = copied_in(writer.plan, types) if native is not None else {}
    calls = (s.operator for s in writer.plan.steps if isinstance(s, Call))
    if native is None or not (bound or copied or any(o in (ATTENTION, JOIN) for o in calls)):
        writer.write_steps(steps)
        writer.write_result()
        return
    placement = writer.placement = place(writer.plan)
    # What a forward graph is given lives on with its caller: only what was saved for a backward
    # graph is that one's alone.
    inputs = enumerate(writer.plan.inputs if writer.is_backward else ())
    large = {n for n, x in inputs if not is_small_input(x.type)}
    items = split(writer.plan, placement, bound, writer.flipped, steps, large, copied)
    runs = [item for item in items if isinstance(item, Run)]
    known = Known(types, joins_of(writer.plan, types), _packed(writer), copied)
    make = Contents(native.RunSteps, runs, bound, placement, shown_in(items, placement), known)
    if placement.nbytes:
        _write_on_frame(writer, items, make)
    else:
        names = {id(r): writer.constant(make.run(r, {}), "run") for r in runs}
        _write_items(writer, items, names)


def _bound(writer: Writer, native: Any) -> dict[int, Bound]:
    """The launches that the native module can run, by the `id` of their steps."""
    found = {}
    for step in writer.plan.steps:
        if native is not None and isinstance(step, Launch):
            launch = writer.space.get(writer.bound[id(step)])
            if isinstance(launch, native.BoundLaunch):
                found[id(step)] = launch, writer.plan.programs[step.program].program
    return found


def _packed(writer: Writer) -> dict[int, Any]:
    """The constants that have no memory of their own: weights in a library's format."""
    constants = enumerate(writer.plan.constants, len(writer.plan.inputs))
    return {n: writer.space[writer.name(n)] for n, c in constants if c.type is None}


def _write_on_frame(writer: Writer, items: Sequence[Step | Run], make: Contents) -> None:
    frames = writer.constant(Frames(make.placement.nbytes, make), "frames")
    names = {id(run): f"run_{n}" for n, run in enumerate(make.runs)}
    unpacked = ["_", *names.values(), *map(writer.name, make.shown)]
    before, writer.lines = writer.lines, []
    _write_items(writer, items, names)
    writer.lines = [
        *before, *_contents(writer, make.placement),
        f"frame = {frames}.take()", f"{', '.join(unpacked)}, = frame", "try:",
        *(f"    {line}" for line in writer.lines), "finally:", f"    {frames}.give(frame)",
    ]  # fmt: skip


def _contents(writer: Writer, placement: Placement) -> list[str]:
    """What lies in the frame, for whoever reads the source."""
    lines = [
        f"# {writer.name(value)}: {spot.type.dtype}{spot.type.size} at byte {spot.offset}"
        for value, spot in placement.spots.items()
    ]
    before, writer.lines = writer.lines, []
    writer.write_steps(list(placement.views.values()))
    lines += [f"# {line}" for line in writer.lines]
    writer.lines = before
    return lines


def _write_items(writer: Writer, items: Sequence[Step | Run], names: dict[int, str]) -> None:
    inside: set[int] = set()  # values that only runs know: no variable holds them
    for item in items:
        if isinstance(item, Run):
            made = {v for step in item.steps if (v := getattr(step, "value", None)) is not None}
            inside |= made - set(item.outputs)
            _write_run(writer, item, names[id(item)])
        elif isinstance(item, Release):
            if held := tuple(v for v in item.values if v not in inside):
                writer.write_steps([Release(held)])
        else:
            writer.write_steps([item])
    writer.write_result()


def _write_run(writer: Writer, run: Run, name: str) -> None:
    before, writer.lines = writer.lines, []
    for step in run.steps:
        if isinstance(step, Launch):
            tensors = ", ".join(writer.name(slot.value) for slot in step.slots)
            writer.lines.append(f"{writer.bound[id(step)]}({tensors})")
        else:
            writer.write_steps([step])
    writer.lines = [*before, *(f"# {line}" for line in writer.lines)]
    given = [*map(writer.name, run.inputs), *map(source, run.sizes)]
    call = f"{name}({', '.join(given)})"
    results = ", ".join(map(writer.name, run.outputs))
    if results:
        call = f"{results}{',' * (len(run.outputs) > 1)} = {call}"
    writer.lines.append(call)
