"""The memory that a call of a plan takes: what its values hold at one time, by what it declares.

Counted is what it allocates, what operators make (results.py), and what Expect brings into
strides, from where it is made to where nothing shows it any more. Not counted: inputs and
constants, which are there, and what operators need while they work, which is about as much as they
are given; where they are given what shows an element many times, that as often.

Some sizes are known when a call has begun, as results tell them; and calls whose results are not
about their operands, and which are given what has no known type, are asked about when they are made
(`made_by`). What shows an element many times is counted as if it did not where an operator made it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .contents import symbols_in
from .dtypes import ELEMENT_TYPES, span
from .expressions import EvaluationError, Expression, Number, Operation, Symbol, evaluate
from .model import Allocate, Call, Expect, Foreign, Item, Plan, Release, TensorType, Use, View
from .results import has_rule, result_of

#: Of an element whose type is not known here: random numbers, positions.
_ELEMENT_BYTES = 8
#: These read what shows an element many times where it lies.
_READS_IN_PLACE = ("aten._scaled_dot_product_flash_attention_for_cpu.default",)


@dataclass(frozen=True, slots=True)
class Typed:
    """A value as operators' rules see it, which ask what they would ask a tensor."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str

    @property
    def itemsize(self) -> int:
        return ELEMENT_TYPES[self.dtype].nbytes

    def stride(self, dim: int | None = None) -> Any:
        return self.strides if dim is None else self.strides[dim]


def made_by(operator: str, args: Any, kwargs: Mapping[str, Any]) -> int:
    """The bytes of what an operator makes of tensors, arrays or `Typed`, beyond about as much as
    they hold. Raises ValueError for arguments that it does not take; `out` among them is of the
    shape of the result."""
    named = dict(kwargs)
    into = named.pop("out", None)
    given = [a for a in _flat((args, named)) if hasattr(a, "shape")]
    shape = result_of(operator, args, named)
    if shape is not None and into is not None and shape != tuple(into.shape):
        raise ValueError(f"{operator} makes {shape}, and is given memory for {tuple(into.shape)}.")
    copied = 0 if operator in _READS_IN_PLACE else sum(map(_copied, given))
    if shape is None:
        return copied
    # Of none of something, too, an operator may list the positions in all other dimensions.
    count = math.prod([max(n, 1) for n in shape])
    return count * (given[0].itemsize if given else _ELEMENT_BYTES) + copied


def _copied(a: Any) -> int:
    """The bytes of a copy of what shows elements many times."""
    strides = a.stride() if hasattr(a, "stride") else [n // a.itemsize for n in a.strides]
    reached = 1 + sum((n - 1) * abs(step) for n, step in zip(a.shape, strides, strict=True))
    count = math.prod(a.shape)
    return count * a.itemsize if count > reached else 0


def _flat(a: Any) -> Iterator[Any]:
    if isinstance(a, (list, tuple)):
        for x in a:
            yield from _flat(x)
    elif isinstance(a, dict):
        yield from _flat(list(a.values()))
    else:
        yield a


@dataclass(frozen=True, slots=True)
class _Made:
    """What a call makes of values of known types, which stand where it uses them."""

    operator: str
    args: tuple
    kwargs: tuple[tuple[str, Any], ...]


class Memory:
    """Of a plan. `unknown`: the calls, by `id`, to ask about when they are made. `symbols`:
    the sizes that it depends on."""

    def __init__(self, plan: Plan) -> None:
        #: Types and sizes, each of which is there once and found by its `id`.
        self.own: dict[Any, Any] = {}
        types = [*[x.type for x in plan.inputs], *[x.type for x in plan.constants]]
        self.types = {
            n: self._own_type(t) for n, t in enumerate(types) if isinstance(t, TensorType)
        }
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
        self.symbols = symbols_in([_parts(made) for made in self.made])
        times = Counter([number for _, number in self.events])
        #: Those whose sizes a rule tells, with how often; and, where they grow, of all others.
        self.ruled = [(m, times[n]) for m, n in self.made.items() if _is_ruled(m)]
        self.others = [
            (t, times[n]) for m, n in self.made.items() if not _is_ruled(m) for t in _types_in(m)
        ]
        self.held: dict[tuple, int] = {}
        self.grows = all(_grows(e) for t, _ in self.others for e in (*t.size, *t.strides))

    def _read(self, step: Any) -> None:
        if isinstance(step, Allocate):
            self.showing[step.value] += 1
            self._have(step.value, step.type)
        elif isinstance(step, Expect):
            self._have(step.value, step.type)
        elif isinstance(step, View):
            self._show(step.value, step.of)
            if (base := self.types.get(step.of)) is not None:
                t = TensorType(base.dtype, step.size, step.strides)
                self.types[step.value] = self._own_type(t)
        elif isinstance(step, Item):
            self._show(step.value, step.of)
        elif isinstance(step, Call):
            self._call(step)
        elif isinstance(step, Release):
            for value in step.values:
                self._release(self.roots.get(value, value))

    def _have(self, value: int, t: TensorType) -> None:
        self.types[value] = own = self._own_type(t)
        self._event(value, own)

    def _own_type(self, t: TensorType) -> TensorType:
        if t not in self.own:
            size, strides = (
                tuple([self.own.setdefault(e, e) for e in listed]) for listed in (t.size, t.strides)
            )
            self.own[t] = TensorType(t.dtype, size, strides)
        return self.own[t]

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
        if isinstance(step.operator, Foreign):
            return
        named = [*step.kwargs, *([("out", Use(step.value))] if step.into else [])]
        try:
            made = _Made(step.operator, self._typed(step.args), self._typed(named))
        except KeyError:
            if has_rule(step.operator):
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
        if isinstance(a, slice):  # no rule asks for it
            return None
        return self.own.setdefault(a, a) if isinstance(a, (Symbol, Operation)) else a

    def peak(self, symbols: Mapping[str, Number]) -> int:
        """The most bytes at one time where sizes are these; what depends on others is left out.
        Raises ValueError for a call that is given what it does not take."""
        sizes = _Sizes(symbols)
        nbytes = [sizes.nbytes(made) for made in self.made]
        held: dict[int, int] = {}
        now = most = 0
        for value, number in self.events:
            before = held.pop(value, 0)
            if number is None:
                now -= before
            else:
                held[value] = after = max(before, nbytes[number])
                now += after - before
                most = max(most, now)
        return most

    def at_most(self, symbols: Mapping[str, Number]) -> int | None:
        """No less than `peak`, and soon found where sizes change from call to call; None where
        that does not tell it. Raises ValueError as `peak` does."""
        sizes, found = _Sizes(symbols), symbols.items()
        ruled = sum([sizes.nbytes(made) * times for made, times in self.ruled])
        lengths = tuple([(k, n.bit_length()) for k, n in found if type(n) is int and n >= 0])
        if not self.grows or len(lengths) < len(self.symbols):
            return None
        if (held := self.held.get(lengths)) is None:
            sizes = _Sizes({name: 1 << length for name, length in lengths})
            held = self.held[lengths] = sum([sizes.whole(t) * times for t, times in self.others])
        return ruled + held


def _is_ruled(made: TensorType | _Made) -> bool:
    return isinstance(made, _Made) and has_rule(made.operator)


def _parts(made: TensorType | _Made) -> Any:
    return (made.args, made.kwargs) if isinstance(made, _Made) else made


def _types_in(made: TensorType | _Made) -> list[TensorType]:
    return [t for t in _flat(_parts(made)) if isinstance(t, TensorType)]


def _grows(e: Expression) -> bool:
    """Whether a size is never negative, and no smaller where a symbol is larger."""
    if isinstance(e, Operation):
        if e.name == "floordiv":
            return _grows(e.of[0]) and type(e.of[1]) is int and e.of[1] > 0
        return e.name in ("add", "mul", "max", "min") and all(map(_grows, e.of))
    return isinstance(e, Symbol) or (type(e) is int and e >= 0)


class _Sizes:
    """Types and sizes where symbols are known, each of which is evaluated once."""

    def __init__(self, symbols: Mapping[str, Number]) -> None:
        self.symbols = symbols
        self.found: dict[int, Any] = {}

    def nbytes(self, made: TensorType | _Made) -> int:
        """0 where a size is not known."""
        try:
            if isinstance(made, _Made):
                return made_by(made.operator, self.seen(made.args), dict(self.seen(made.kwargs)))
            found = self.typed(made)
        except EvaluationError:
            return 0
        return span(found.shape, found.strides) * found.itemsize

    def whole(self, t: TensorType) -> int:
        """Of a type, and of a copy of it. Raises EvaluationError."""
        found = self.typed(t)
        count = max(span(found.shape, found.strides), math.prod(found.shape))
        return count * found.itemsize

    def number(self, e: Expression) -> Any:
        """Raises EvaluationError."""
        if type(e) is int:
            return e
        found = self.found.get(id(e))
        if found is None:
            found = self.found[id(e)] = evaluate(e, self.symbols)
        return found

    def typed(self, t: TensorType) -> Typed:
        found = self.found.get(id(t))
        if found is None:
            size, strides = (tuple(map(self.number, listed)) for listed in (t.size, t.strides))
            found = self.found[id(t)] = Typed(size, strides, t.dtype)
        return found

    def seen(self, a: Any) -> Any:
        """An argument as a rule sees it."""
        if isinstance(a, TensorType):
            return self.typed(a)
        if isinstance(a, (Symbol, Operation)):
            return self.number(a)
        return tuple([self.seen(x) for x in a]) if isinstance(a, tuple) else a
