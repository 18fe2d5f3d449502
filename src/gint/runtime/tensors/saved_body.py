"""The steps of a saved plan on tensors, run as what `torch.compile` makes of the same graph: native
calls for runs of steps, on a frame that holds small values.

A plan from a file may say anything. What launches and views reach was checked when they were
prepared; of operators a run has those that are given what is known to be there, and compares what
they make with what the plan says. Knows plans and prepared steps. Does not know files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from operator import itemgetter
from typing import Any

from gint.backend.protocol import BoundLaunch
from gint.plan import (
    Allocate,
    Call,
    Define,
    Expect,
    Item,
    Launch,
    Plan,
    Release,
    Step,
    TensorType,
    Use,
    View,
)
from gint.plan.contents import uses
from gint.plan.operators import PRODUCTS

from . import blas
from .frame_contents import Contents, Known, shown_in
from .frames import Frames
from .native_runs import Bound
from .placement import is_small, place
from .runs import ATTENTION, CONVOLUTION, Run, split, types_of
from .torch_shim import native_with_torch

#: A step as a function of the values by number and the sizes by name.
Prepared = Callable[[list[Any], dict[str, Any]], None]


def native_body(
    plan: Plan,
    launches: Mapping[int, BoundLaunch],
    unknown: Collection[int],
    prepare: Callable[[Step], Prepared],
) -> Prepared | None:
    """All steps after a plan's head as one, or None where sizes are free or no launch is native.
    `launches` are bound, and the calls in `unknown` ask for memory when they are made, by `id`;
    `prepare` gives a step alone."""
    native, steps = native_with_torch(), plan.steps[plan.head :]
    is_free = any(isinstance(step, Define) for step in plan.steps)
    if native is None or is_free or not _has_fixed_types(plan):
        return None
    bound: dict[int, Bound] = {
        id(s): (launches[id(s)], plan.programs[s.program].program)
        for s in steps
        if isinstance(s, Launch) and isinstance(launches.get(id(s)), native.BoundLaunch)
    }
    if not bound:
        return None
    placement, types = place(plan), types_of(plan)
    large = {s.value for s in steps if isinstance(s, Allocate) and not is_small(s)}
    apart = {*unknown, *map(id, _apart(plan, types))}
    items = split(plan, placement, bound, (), steps, large, apart=apart)
    runs = [item for item in items if isinstance(item, Run)]
    shown, known = shown_in(items, placement), Known(types, {}, {}, {}, is_compared=True)
    frames = Frames(
        placement.nbytes, Contents(native.RunSteps, runs, bound, placement, shown, known)
    )
    return _on_frame(frames, [*_body(items, runs, prepare)], shown, 1 + len(runs))


def _body(
    items: list[Step | Run], runs: list[Run], prepare: Callable[[Step], Prepared]
) -> Iterator[Prepared]:
    inside = {v for run in runs for v in run.made} - {v for run in runs for v in run.outputs}
    numbers = {id(run): n for n, run in enumerate(runs, 1)}
    for item in items:
        if isinstance(item, Run):
            yield _run_in(numbers[id(item)], item)
        elif not isinstance(item, Release):
            yield prepare(item)
        elif held := tuple([v for v in item.values if v not in inside]):
            yield prepare(Release(held))


def _on_frame(frames: Frames, body: list[Prepared], shown: list[int], first: int) -> Prepared:
    """The steps of a body on a frame, which comes behind all values; from `first` on it has those
    that are shown."""

    def run(v: list[Any], s: dict[str, Any]) -> None:
        frame = frames.take()
        try:
            for n, value in enumerate(shown, first):
                v[value] = frame[n]
            v.append(frame)
            for step in body:
                step(v, s)
        finally:
            frames.give(frame)

    return run


def _run_in(number: int, run: Run) -> Prepared:
    """A step that calls the run of this number in the frame."""
    outputs, pick = run.outputs, itemgetter(-1, *run.inputs) if run.inputs else None

    def call(v: list[Any]) -> Any:
        if pick is None:
            return v[-1][number]()
        frame, *given = pick(v)
        return frame[number](*given)

    def run_step(v: list[Any], s: dict[str, Any]) -> None:
        call(v)

    def run_step_of_one(v: list[Any], s: dict[str, Any]) -> None:
        v[outputs[0]] = call(v)

    def run_step_of_many(v: list[Any], s: dict[str, Any]) -> None:
        for n, made in zip(outputs, call(v), strict=True):
            v[n] = made

    return (run_step, run_step_of_one, run_step_of_many)[min(len(outputs), 2)]


def _has_fixed_types(plan: Plan) -> bool:
    """Whether nothing is said twice of a value: runs are told one type of each, and are made
    before anything has been compared."""
    given = [*[x.type for x in plan.inputs], *[c.type for c in plan.constants]]
    told = dict(enumerate(given))
    for step in plan.steps:
        if isinstance(step, (Allocate, Expect)):
            if told.setdefault(step.value, step.type) != step.type:
                return False
        elif isinstance(step, View):
            told[step.value] = TensorType("", (), ())  # which no Expect says
    return True


def _apart(plan: Plan, types: Mapping[int, TensorType]) -> Iterator[Call]:
    """The calls that no run has: of others than products, convolutions and attention, and those of
    which an operand may be empty, of other elements, or hold negatives or conjugates of its
    values."""
    plain = set(range(len(plan.inputs) + len(plan.constants)))
    made: set[int] = set()
    for step in plan.steps:
        if isinstance(step, Allocate) or (isinstance(step, View) and step.of in plain):
            plain.add(step.value)
        elif isinstance(step, Item) and step.of in made:
            made.add(step.value)
        elif isinstance(step, Expect) and step.value in made:
            plain.add(step.value)
        elif isinstance(step, Call):
            operands = [*uses(step.args), *uses(step.kwargs), *([step.value] if step.into else [])]
            is_plain = plain.issuperset(operands) and all(
                _is_floats(types.get(v)) for v in operands
            )
            if not is_plain or not _is_called(step):
                yield step
            elif not step.into:
                made.add(step.value)


def _is_called(step: Call) -> bool:
    """Whether a run can have such a call, whose operands it is given as numbers of values."""
    if step.into:
        is_known = step.operator in PRODUCTS and not blas.is_slow()  # dense.py has better ones
        return is_known and len(step.args) in (2, 3) and all(isinstance(a, Use) for a in step.args)
    given = [a for a in step.args[:3] if a is not None]  # a bias may be
    return step.operator in (CONVOLUTION, ATTENTION) and all(isinstance(a, Use) for a in given)


def _is_floats(t: TensorType | None) -> bool:
    return t is not None and t.dtype == "float32" and 0 not in t.size
