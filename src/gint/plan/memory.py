"""The memory that a call of a plan takes: what its values hold at one time, by what it declares,
and what operators hold while they work (demands.py).

Counted is what it allocates, what operators make, and what Expect brings into strides, from where
it is made to where nothing shows it any more. Not counted: inputs and constants, which are there.

Some sizes are known when a call has begun, as results tell them; and calls that are given what has
no known type are asked about when they are made. Sizes that change from call to call are not all
counted again: each operator remembers what it took for the sizes that it depends on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from gint.dataclass import frozen

from .contents import symbols_in
from .demands import NOTHING, Demand, Typed, demand_of, is_asked
from .dtypes import span
from .expressions import EvaluationError, Expression, Number, Operation, Symbol, evaluator
from .model import Allocate, Call, Expect, Foreign, Item, Plan, Release, TensorType, Use, View
from .results import is_exact

Symbols = Mapping[str, Number]
#: Of the sizes that an operator depends on, how many it remembers.
_REMEMBERED = 16


@frozen(slots=True)
class _Made:
    """What a call makes of values of known types, which stand where it uses them."""

    operator: str
    args: tuple
    kwargs: tuple[tuple[str, Any], ...]


class Memory:
    """Of a plan. `unknown`: the calls, by `id`, to ask about when they are made. `symbols`:
    the sizes that it depends on."""

    def __init__(self, plan: Plan) -> None:
        types = [*[x.type for x in plan.inputs], *[x.type for x in plan.constants]]
        self.types = {n: t for n, t in enumerate(types) if isinstance(t, TensorType)}
        #: Value -> the one whose memory it shows; of that, how many do.
        self.roots: dict[int, int] = {}
        self.showing: Counter[int] = Counter()
        self.unknown: set[int] = set()
        #: What makes memory, each once (layers of a model are alike), by number.
        self.made: dict[TensorType | _Made, int] = {}
        #: In the order of the steps: the value, what makes memory for it, or None that it is gone.
        self.events: list[tuple[int, int | None]] = []
        for step in plan.steps:
            self._read(step)
        self.sources = [_Source(made) for made in self.made]
        self.symbols = frozenset([name for source in self.sources for name in source.names])
        times = Counter([number for _, number in self.events])
        counted = [(source, times[n]) for n, source in enumerate(self.sources)]
        #: Those that are asked at the very sizes, with how often they make memory; and others.
        self.exact = [(source, n) for source, n in counted if not source.grows]
        self.growing = [(source, n) for source, n in counted if source.grows]
        self.held: dict[tuple, Demand] = {}

    def _read(self, step: Any) -> None:
        if isinstance(step, Allocate):
            self.showing[step.value] += 1
            self._have(step.value, step.type)
        elif isinstance(step, Expect):
            self._have(step.value, step.type)
        elif isinstance(step, View):
            self._show(step.value, step.of)
            if (base := self.types.get(step.of)) is not None:
                self.types[step.value] = TensorType(base.dtype, step.size, step.strides)
        elif isinstance(step, Item):
            self._show(step.value, step.of)
        elif isinstance(step, Call):
            self._call(step)
        elif isinstance(step, Release):
            for value in step.values:
                self._release(self.roots.get(value, value))

    def _have(self, value: int, t: TensorType) -> None:
        self.types[value] = t
        self._event(value, t)

    def _event(self, value: int, made: TensorType | _Made) -> None:
        number = self.made.setdefault(made, len(self.made))
        self.events.append((self.roots.get(value, value), number))

    def _show(self, value: int, of: int) -> None:
        self.roots[value] = root = self.roots.get(of, of)
        self.showing[root] += 1

    def _release(self, root: int) -> None:
        self.showing[root] -= 1
        if not self.showing[root]:
            self.events.append((root, None))

    def _call(self, step: Call) -> None:
        if not step.into:
            self.showing[step.value] += 1
        if isinstance(step.operator, Foreign) or not is_asked(step.operator):
            return
        named = [*step.kwargs, *([("out", Use(step.value))] if step.into else [])]
        try:
            made = _Made(step.operator, self._typed(step.args), self._typed(named))
        except KeyError:
            self.unknown.add(id(step))
            return
        self._event(step.value, made)

    def _typed(self, a: Any) -> Any:
        """An argument with types where it uses values, and tuples for lists, since it is looked
        up. Raises KeyError for a value of an unknown type."""
        if isinstance(a, Use):
            return self.types[a.value]
        if isinstance(a, (list, tuple)):
            return tuple([self._typed(x) for x in a])
        if isinstance(a, dict):
            return self._typed(list(a.items()))
        return None if isinstance(a, slice) else a  # no rule asks for it

    def peak(self, symbols: Symbols) -> int:
        """The most bytes at one time where sizes are these; what depends on others is left out.
        Raises ValueError for a call that is given what it does not take."""
        demands = [source.demand(symbols) for source in self.sources]
        held: dict[int, int] = {}
        now = most = 0
        for value, number in self.events:
            before = held.pop(value, 0)
            if number is None:
                now -= before
            else:
                made, taken = demands[number]
                held[value] = after = max(before, made)
                most = max(most, now - before + max(after, taken))
                now += after - before
        return most

    def at_most(self, symbols: Symbols) -> int | None:
        """No less than `peak`, and soon found where sizes change from call to call; None where
        that does not tell it. Raises ValueError as `peak` does."""
        exact = _together([(source.demand(symbols), n) for source, n in self.exact])
        lengths = []
        for name in self.symbols:
            size = symbols.get(name)
            if type(size) is not int or size < 0:
                return None
            lengths.append(size.bit_length())
        if (growing := self.held.get(key := tuple(lengths))) is None:
            largest = {name: 1 << n for name, n in zip(self.symbols, lengths, strict=True)}
            found = [(source.most(largest), n) for source, n in self.growing]
            growing = self.held[key] = _together(found)
        return exact.made + growing.made + max(exact.taken, growing.taken)


def _together(demands: list[tuple[Demand, int]]) -> Demand:
    """All that is made, each so often, and the most that is taken beside."""
    made = sum([d.made * n for d, n in demands])
    return Demand(made, max([d.taken - d.made for d, _ in demands], default=0))


class _Source:
    """What makes memory: a type that is allocated, or a call. `names`: the sizes that it depends
    on. `grows`: it takes no less where a size is larger, and refuses none."""

    def __init__(self, made: TensorType | _Made) -> None:
        parts = (made.args, made.kwargs) if isinstance(made, _Made) else made
        self.made, self.names = made, tuple(sorted(symbols_in(parts)))
        self.sizes = _Sizes()
        self.read = self.sizes.reader(parts)
        types: list[TensorType] = []
        numbers = _sort_out(parts, types)
        self.types = [self.sizes.reader(t) for t in types]
        is_refusing = isinstance(made, _Made) and (
            is_exact(made.operator) or "out" in dict(made.kwargs) or any(symbols_in(numbers))
        )
        self.grows = not is_refusing and all(map(_grows, self.sizes.places))
        self.remembered = lru_cache(_REMEMBERED)(self._demand_for)

    def demand(self, symbols: Symbols) -> Demand:
        """Nothing where a size is not known. Raises ValueError."""
        return self.remembered(*[symbols.get(name) for name in self.names])

    def _demand_for(self, *sizes: Number | None) -> Demand:
        known = {k: n for k, n in zip(self.names, sizes, strict=True) if n is not None}
        try:
            return self._demand(self.sizes(known))
        except EvaluationError:
            return NOTHING

    def _demand(self, sizes: list[Number]) -> Demand:
        found = self.read(sizes)
        if isinstance(self.made, _Made):
            args, kwargs = found
            return demand_of(self.made.operator, args, dict(kwargs))
        nbytes = span(found.shape, found.strides) * found.itemsize
        return Demand(nbytes, nbytes)

    def most(self, symbols: Symbols) -> Demand:
        """No less than `demand` for sizes that are no larger, whatever is copied. Raises
        EvaluationError."""
        sizes = self.sizes(symbols)
        made, taken = self._demand(sizes)
        typed = [read(sizes) for read in self.types]
        whole = sum([max(span(t.shape, t.strides), math.prod(t.shape)) for t in typed])
        return Demand(made, taken + whole * _WIDEST)


#: Bytes of an element, however it is copied.
_WIDEST = 8


def _sort_out(a: Any, types: list[TensorType]) -> list[Any]:
    """Append the types in arguments to `types`; the list of what else there is."""
    if isinstance(a, TensorType):
        types.append(a)
        return []
    if isinstance(a, tuple):
        return [x for part in a for x in _sort_out(part, types)]
    return [a]


def _grows(e: Expression) -> bool:
    """Whether a size is never negative, and no smaller where a symbol is larger."""
    if isinstance(e, Operation):
        if e.name == "floordiv":
            return _grows(e.of[0]) and type(e.of[1]) is int and e.of[1] > 0
        return e.name in ("add", "mul", "max", "min") and all(map(_grows, e.of))
    return isinstance(e, Symbol) or (type(e) is int and e >= 0)


class _Sizes:
    """The different sizes in arguments, each of which is evaluated once."""

    def __init__(self) -> None:
        self.places: dict[Expression, int] = {}
        self.evaluators: list[Callable[[Symbols], Number]] = []

    def __call__(self, symbols: Symbols) -> list[Number]:
        """Raises EvaluationError."""
        return [evaluated(symbols) for evaluated in self.evaluators]

    def reader(self, a: Any) -> Callable[[list[Number]], Any]:
        """What gives an argument, or a type, as rules see it, of these sizes."""
        if isinstance(a, TensorType):
            size, strides, dtype = self._picked(a.size), self._picked(a.strides), a.dtype
            return lambda found: Typed(size(found), strides(found), dtype)
        if isinstance(a, (Symbol, Operation)):
            return itemgetter(self._place(a))
        if isinstance(a, tuple):
            parts = [self.reader(x) for x in a]
            return lambda found: tuple([part(found) for part in parts])
        return lambda found: a

    def _place(self, e: Expression) -> int:
        if e not in self.places:
            self.places[e] = len(self.places)
            self.evaluators.append(evaluator(e))
        return self.places[e]

    def _picked(self, listed: tuple[Expression, ...]) -> Callable[[list[Number]], tuple]:
        places = [self._place(e) for e in listed]
        if len(places) > 1:
            return itemgetter(*places)
        return lambda found: tuple([found[n] for n in places])
