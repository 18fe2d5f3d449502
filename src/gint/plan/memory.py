"""The memory that a call of a plan takes: what its values hold at one time, by what it declares.

Counted is what it allocates, what operators make (results.py), and what Expect brings into
strides, from where it is made to where nothing shows it any more. Not counted: inputs and
constants, which are there, and what operators need while they work, which is about as much as they
are given; where they are given what shows an element many times, that as often.

Some sizes are known when a call has begun, as results tell them; and of some results only the
operator knows the size: whoever runs them asks `Call` by `Call` (`made_by`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .contents import uses
from .dtypes import ELEMENT_TYPES, span
from .expressions import EvaluationError, Expression, Number, Operation, Symbol, evaluate
from .model import Allocate, Call, Expect, Foreign, Item, Plan, Release, TensorType, Use, View
from .results import result_of

#: Of an element whose type is not known here: random numbers, positions.
_ELEMENT_BYTES = 8
#: These read what shows an element many times where it lies.
_READS_IN_PLACE = ("aten._scaled_dot_product_flash_attention_for_cpu.default",)


@dataclass(frozen=True, slots=True)
class Typed:
    """A value as operators' rules see it. `nbytes` is of its memory, from first to last."""

    shape: tuple[int, ...]
    dtype: str
    nbytes: int

    @property
    def itemsize(self) -> int:
        found = ELEMENT_TYPES.get(self.dtype)
        return found.nbytes if found else _ELEMENT_BYTES


def made_by(operator: str, args: Any, kwargs: Mapping[str, Any]) -> int:
    """The bytes of what an operator makes of tensors, arrays or `Typed`, beyond about as much as
    they hold. Raises ValueError for arguments that it does not take."""
    given = [a for a in _flat((args, dict(kwargs))) if hasattr(a, "shape")]
    shape = result_of(operator, args, dict(kwargs))
    size = 0
    if shape is not None:
        # Of none of something, too, an operator may list the positions in all other dimensions.
        count = math.prod([max(n, 1) for n in shape])
        size = count * (given[0].itemsize if given else _ELEMENT_BYTES)
    if operator in _READS_IN_PLACE:
        return size
    return size + sum(math.prod(a.shape) * a.itemsize for a in given if _overlaps(a))


def _overlaps(a: Any) -> bool:
    """Whether elements share memory."""
    if isinstance(a, Typed):
        return math.prod(a.shape) * a.itemsize > a.nbytes
    return 0 in (a.stride() if hasattr(a, "stride") else a.strides)


def _flat(a: Any) -> Iterator[Any]:
    if isinstance(a, (list, tuple)):
        for x in a:
            yield from _flat(x)
    elif isinstance(a, dict):
        yield from _flat(list(a.values()))
    else:
        yield a


class Memory:
    """Of a plan. `unknown`: the calls, by `id`, that are given what has no known type."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        types = [*[x.type for x in plan.inputs], *[x.type for x in plan.constants]]
        self.types = {n: t for n, t in enumerate(types) if isinstance(t, TensorType)}
        #: Value -> the one whose memory it shows; of that, how many do.
        self.roots: dict[int, int] = {}
        self.showing: Counter[int] = Counter()
        self.unknown: set[int] = set()
        #: In the order of the steps: the value, what makes memory for it, or None that it is gone.
        self.events: list[tuple[int, Allocate | Expect | Call | None]] = []
        for step in plan.steps:
            self._read(step)

    def _read(self, step: Any) -> None:
        if isinstance(step, Allocate):
            self.types[step.value] = step.type
            self._make(step.value, step)
        elif isinstance(step, Expect):
            self.types[step.value] = step.type
            self.events.append((self.roots.get(step.value, step.value), step))
        elif isinstance(step, View):
            self._show(step.value, step.of)
            base = self.types.get(step.of)
            if base is not None:
                self.types[step.value] = TensorType(base.dtype, step.size, step.strides)
        elif isinstance(step, Item):
            self._show(step.value, step.of)
        elif isinstance(step, Call):
            self._call(step)
        elif isinstance(step, Release):
            for value in step.values:
                root = self.roots.get(value, value)
                self.showing[root] -= 1
                if not self.showing[root]:
                    self.events.append((root, None))

    def _make(self, value: int, step: Allocate | Call) -> None:
        self.showing[value] += 1
        self.events.append((value, step))

    def _show(self, value: int, of: int) -> None:
        self.roots[value] = root = self.roots.get(of, of)
        self.showing[root] += 1

    def _call(self, step: Call) -> None:
        if not step.into:
            self._make(step.value, step)
        else:
            self.events.append((self.roots.get(step.value, step.value), step))
        if isinstance(step.operator, Foreign):
            return
        used = uses((step.args, [a for _, a in step.kwargs]))
        if any(value not in self.types for value in used):
            self.unknown.add(id(step))

    def peak(self, symbols: Mapping[str, Number]) -> int:
        """The most bytes at one time where sizes are these; what depends on others is left out."""
        sizes = _Sizes(symbols)
        held: dict[int, int] = {}
        now = most = 0
        for value, step in self.events:
            before = held.pop(value, 0)
            if step is None:
                now -= before
                continue
            during = 0
            if isinstance(step, Call):
                during = self._during(step, sizes)
                after = max(before, 0 if step.into else during)
            else:
                after = max(before, sizes.nbytes(step.type))
            held[value] = after
            now += after - before
            most = max(most, now + (during if after != during else 0))
        return most

    def _during(self, step: Call, sizes: _Sizes) -> int:
        if isinstance(step.operator, Foreign):
            return 0
        try:
            args = self._seen(step.args, sizes)
            kwargs = {name: self._seen(a, sizes) for name, a in step.kwargs}
        except (KeyError, EvaluationError):
            return 0
        return made_by(step.operator, args, kwargs)

    def _seen(self, a: Any, sizes: _Sizes) -> Any:
        """An argument as a rule sees it. Raises KeyError for a value of an unknown type."""
        if isinstance(a, Use):
            return sizes.typed(self.types[a.value])
        if isinstance(a, (Symbol, Operation)):
            return sizes.number(a)
        if isinstance(a, (list, tuple)):
            return type(a)([self._seen(x, sizes) for x in a])
        return a


class _Sizes:
    """Sizes and types where symbols are known, each of which is evaluated once."""

    def __init__(self, symbols: Mapping[str, Number]) -> None:
        self.symbols = symbols
        self.types: dict[TensorType, Typed] = {}
        self.numbers: dict[Expression, Number] = {}

    def number(self, e: Expression) -> Any:
        if type(e) is int:
            return e
        if e not in self.numbers:
            self.numbers[e] = evaluate(e, self.symbols)
        return self.numbers[e]

    def typed(self, t: TensorType) -> Typed:
        """Raises EvaluationError."""
        found = self.types.get(t)
        if found is None:
            size, strides = (tuple(map(self.number, listed)) for listed in (t.size, t.strides))
            nbytes = span(size, strides) * ELEMENT_TYPES[t.dtype].nbytes
            found = self.types[t] = Typed(size, t.dtype, nbytes)
        return found

    def nbytes(self, t: TensorType) -> int:
        """0 where a size is not known."""
        try:
            return self.typed(t).nbytes
        except EvaluationError:
            return 0
