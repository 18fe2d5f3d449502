"""Which steps of a plan are one native call.

A *run* is as long as its steps are launches of the C++ interpreter of static sizes, views, and the
operators that the native module calls by itself. Sizes that differ from call to call are computed
before a run, and given to it. Small results are allocated before a run, and what Python holds is
released after it; a step that allocates or releases much ends one.

Knows plans. Does not know how runs are carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gint.plan import (
    Allocate,
    Call,
    Expect,
    Foreign,
    Item,
    Launch,
    Operation,
    Plan,
    Release,
    Step,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.contents import symbols_in, uses, values_of
from gint.plan.expressions import Expression
from gint.plan.operators import PRODUCTS

from .entry_points import ROW_PRODUCTS
from .placement import Placement, is_small
from .torch_shim import has_onednn

ATTENTION = "aten._scaled_dot_product_flash_attention_for_cpu.default"
CONVOLUTION = "aten.convolution.default"
JOIN = "aten.cat.default"
#: oneDNN's: products and convolutions with what follows them, alone or with another tensor.
LINEAR = "mkldnn._linear_pointwise.default"
LINEAR_BINARY = "mkldnn._linear_pointwise.binary"
POINTWISE = "mkldnn._convolution_pointwise.default"
POINTWISE_BINARY = "mkldnn._convolution_pointwise.binary"
ONEDNN = (LINEAR, LINEAR_BINARY, POINTWISE, POINTWISE_BINARY)


@dataclass
class Run:
    """Steps of one native call. `inputs` are given to it, then the values of the expressions
    `sizes`; `fixed` lie in the plan's frame, `made` are of its own (each in its order); of these,
    `outputs` are wanted after it."""

    steps: list[Step] = field(default_factory=list)
    inputs: dict[int, None] = field(default_factory=dict)
    fixed: dict[int, None] = field(default_factory=dict)
    made: dict[int, None] = field(default_factory=dict)
    sizes: dict[Expression, None] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)


def split(
    plan: Plan,
    placement: Placement,
    bound: Collection[int],
    flipped: Collection[int],
    steps: Sequence[Step],
    large: Collection[int] = (),
    copied: Collection[int] = (),
    apart: Collection[int] = (),
) -> list[Step | Run]:
    """The last steps of a plan, without those that make what lies in the frame; `bound` are the
    launches that a run may have, `copied` the calls that it copies by itself, `apart` what no run
    may have, by `id`; `flipped` values are read by torch's operators alone. A release of those in
    `large` gives much memory back, which is not put off."""
    return _Splitter(plan, placement, bound, flipped, steps, large, copied, apart).split()


class _Splitter:
    def __init__(
        self,
        plan: Plan,
        placement: Placement,
        bound: Collection[int],
        flipped: Collection[int],
        steps: Sequence[Step],
        large: Collection[int],
        copied: Collection[int],
        apart: Collection[int],
    ) -> None:
        self.placement, self.bound, self.flipped = placement, bound, frozenset(flipped)
        self.large, self.apart = frozenset(large), apart
        self.types = types_of(plan)
        self.joins = joins_of(plan, self.types)
        self.copied = copied
        #: Pairs that attention makes -> their first results, where those alone are used.
        self.first = _first_results(steps, plan.result, self._is_called)
        self.steps = _made_alone(steps, self.first)
        #: Packed weights, which no run is given: its steps have them.
        constants = enumerate(plan.constants, len(plan.inputs))
        self.packed = {n for n, c in constants if c.type is None}
        self.last: dict[int, int] = {}
        for n, step in enumerate(self.steps):
            if not isinstance(step, Release):
                self.last.update(dict.fromkeys(values_of(step), n))
        self.last.update(dict.fromkeys(uses(plan.result), len(self.steps)))
        self.items: list[Step | Run] = []
        self.run = Run()
        self.after: list[int] = []  # what Python holds, and is released after the run

    def split(self) -> list[Step | Run]:
        for n, step in enumerate(self.steps):
            if isinstance(step, (Allocate, View)) and self.placement.holds(step.value):
                continue
            self._add(n, step)
        self._end(len(self.steps))
        return self.items

    def _add(self, n: int, step: Step) -> None:
        if isinstance(step, Release):
            self._release(n, step)
        elif isinstance(step, Allocate) and is_small(step):
            self.items.append(step)  # before the run, which uses it
        elif self._is_native(step):
            self._take(step)
        else:
            self._end(n)
            self.items.append(step)

    def _release(self, n: int, step: Release) -> None:
        values = [v for v in step.values if not self.placement.holds(v)]
        made = tuple([v for v in values if v in self.run.made])
        held = tuple([v for v in values if v not in self.run.made])
        if made:
            self.run.steps.append(Release(made))
        if not held:
            return
        if self.run.steps and self.large.isdisjoint(held):
            self.after += held
            return
        self._end(n)
        self.items.append(Release(held))

    def _is_native(self, step: Step) -> bool:
        if isinstance(step, Launch):
            return id(step) in self.bound
        if id(step) in self.apart or not self.flipped.isdisjoint(values_of(step)):
            return False
        if isinstance(step, Expect):
            return not step.is_foreign and step.value in self.run.made
        if isinstance(step, Call) and step.operator == ATTENTION:
            return step.value in self.first.values()
        if isinstance(step, Call):
            return self._is_called(step)
        return isinstance(step, View)

    def _is_called(self, step: Call) -> bool:
        """Whether a run can make a call: of attention, its first result alone."""
        if id(step) in self.apart or symbols_in(step):
            return False
        if not self.flipped.isdisjoint(values_of(step)):
            return False
        ways = is_called_natively(step), is_row_product(step, self.types)
        return any(ways) or step.value in self.joins or id(step) in self.copied

    def _take(self, step: Step) -> None:
        run = self.run
        makes = isinstance(step, View) or (isinstance(step, Call) and not step.into)
        made = step.value if makes else None  # type: ignore[union-attr]
        for value in values_of(step):
            if value == made or value in run.made or value in self.packed:
                continue
            known = run.fixed if self.placement.holds(value) else run.inputs
            known[value] = None
        if made is not None:
            run.made[made] = None
        run.sizes.update(dict.fromkeys(sizes_in(step)))
        run.steps.append(step)

    def _end(self, n: int) -> None:
        run, after = self.run, self.after
        self.run, self.after = Run(), []
        if any(isinstance(s, (Launch, Call)) for s in run.steps):
            run.outputs = [v for v in run.made if self.last[v] >= n]
            self.items.append(run)
        else:
            self.items += run.steps
        if after and n < len(self.steps):  # otherwise the function ends
            self.items.append(Release(tuple(sorted(after))))


def types_of(plan: Plan) -> dict[int, TensorType]:
    """What is said of values: those that are given, allocated, brought into strides, and views."""
    given = enumerate([*[x.type for x in plan.inputs], *[x.type for x in plan.constants]])
    types = {n: kind for n, kind in given if isinstance(kind, TensorType)}
    for step in plan.steps:
        if isinstance(step, (Allocate, Expect)):
            types[step.value] = step.type
        elif isinstance(step, View) and step.of in types:
            types[step.value] = TensorType(types[step.of].dtype, step.size, step.strides)
    return types


def sizes_in(step: Step) -> list[Expression]:
    """The sizes, strides and offset of a step that its call's sizes decide."""
    if isinstance(step, View):
        found = (*step.size, *step.strides, step.offset)
    elif isinstance(step, Expect):
        found = (*step.type.size, *step.type.strides)
    else:
        return []
    return [e for e in dict.fromkeys(found) if isinstance(e, (Symbol, Operation))]


def joins_of(plan: Plan, types: Mapping[int, TensorType]) -> dict[int, int]:
    """Which values a native step joins, by calls of `cat` on tensors of one type and rank, all of
    them known; and the dimension, from 0 on."""
    kinds = {value: (t.dtype, len(t.size)) for value, t in types.items()}
    found = {}
    for step in plan.steps:
        if not isinstance(step, Call) or step.operator != JOIN or step.kwargs or not step.args:
            continue
        if step.into:
            continue
        parts = step.args[0]
        alike = {kinds.get(a.value) if isinstance(a, Use) else None for a in parts}
        dimension = (step.args[1:] or (0,))[0]
        if len(alike) == 1 and (kind := alike.pop()) and kind[1] and type(dimension) is int:
            kinds[step.value], found[step.value] = kind, dimension % kind[1]
    return found


def is_row_product(step: Call, types: Mapping[int, TensorType]) -> bool:
    """Whether a call is a product of rows, without gaps and in float32, that native code makes."""
    operator = step.operator.value if isinstance(step.operator, Foreign) else step.operator
    if not step.args or operator not in ROW_PRODUCTS or step.kwargs:
        return False
    x, bias, *which = step.args
    fits = _is_plain(x, types) and (bias is None or _is_plain(bias, types))
    return fits and ROW_PRODUCTS[operator](*which) is not None


def _is_plain(a: Any, types: Mapping[int, TensorType]) -> bool:
    """Whether an argument is float32 of known sizes without gaps."""
    kind = types.get(a.value) if isinstance(a, Use) else None
    if kind is None or kind.dtype != "float32" or not kind.size:
        return False
    expected = 1
    for size, stride in zip(reversed(kind.size), reversed(kind.strides), strict=True):
        if not isinstance(size, int) or (size != 1 and stride != expected):
            return False
        expected *= max(size, 1)
    return True


def is_called_natively(step: Call) -> bool:
    """Whether the native module calls an operator as this step does."""
    if step.into:
        return step.operator in PRODUCTS and not step.kwargs
    if step.operator in ONEDNN:
        return has_onednn() and not step.kwargs
    if step.operator == ATTENTION:
        are_known = {k for k, _ in step.kwargs} <= {"attn_mask", "scale"}
        return are_known and len(step.args) <= 5 and not any(step.args[3:4])  # no dropout
    return step.operator == CONVOLUTION and not step.kwargs and len(step.args) == 9


def _first_results(
    steps: Sequence[Step], result: Any, is_called: Callable[[Call], bool]
) -> dict[int, int]:
    """Pairs that attention makes and of which nothing but the first result is used -> that one."""
    pairs: dict[int, list[Step]] = {
        s.value: [] for s in steps
        if isinstance(s, Call) and s.operator == ATTENTION and is_called(s)
    }  # fmt: skip
    if not pairs:
        return {}
    for step in steps:
        if not isinstance(step, (Release, Call)):
            for value in values_of(step):
                if value in pairs:
                    pairs[value].append(step)
    kept = set(uses(result))
    return {
        value: users[0].value for value, users in pairs.items()
        if len(users) == 1 and isinstance(users[0], Item) and users[0].number == 0
        and value not in kept
    }  # fmt: skip


def _made_alone(given: Sequence[Step], first: Mapping[int, int]) -> Sequence[Step]:
    """The steps, where calls make the first results: items and releases of the pairs are gone."""
    if not first:
        return given
    steps: list[Step] = []
    for step in given:
        if isinstance(step, Call) and step.value in first:
            step = replace(step, value=first[step.value])
        elif isinstance(step, Item) and step.of in first:
            continue
        elif isinstance(step, Release):
            step = Release(tuple([v for v in step.values if v not in first]))
            if not step.values:
                continue
        steps.append(step)
    return steps
