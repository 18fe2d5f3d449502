"""The memory that a call of a plan takes: what its values hold at one time, by what it declares.

Counted is what it allocates, what operators make (results.py), and what Expect brings into
strides, from where it is made to where nothing shows it any more. Not counted: inputs and
constants, which are there, and what operators need while they work, which is about as much as they
are given; where they are given what shows an element many times, that as often.

Some sizes are known when a call has begun, as results tell them; and calls that are given what has
no known type are asked about when they are made (`made_by`).
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
from .results import result_of

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
    if None not in (shape, into) and shape != tuple(into.shape):
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
    args: Any
    kwargs: Mapping[str, Any]


class Memory:
    """Of a plan. `unknown`: the calls, by `id`, that are given what has no known type. `symbols`:
    the sizes that it depends on."""

    def __init__(self, plan: Plan) -> None:
        types = [*[x.type for x in plan.inputs], *[x.type for x in plan.constants]]
        self.types = {n: t for n, t in enumerate(types) if isinstance(t, TensorType)}
        #: Value -> the one whose memory it shows; of that, how many do.
        self.roots: dict[int, int] = {}
        self.showing: Counter[int] = Counter()
        self.unknown: set[int] = set()
        #: In the order of the steps: the value, what makes memory for it, or None that it is gone.
        self.events: list[tuple[int, TensorType | _Made | None]] = []
        for step in plan.steps:
            self._read(step)
        made = [m for _, m in self.events]
        self.symbols = symbols_in([(m.args, m.kwargs) if isinstance(m, _Made) else m for m in made])

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
        self.events.append((self.roots.get(value, value), t))

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
        named = dict(step.kwargs) | ({"out": Use(step.value)} if step.into else {})
        try:
            args, kwargs = self._typed(step.args), self._typed(named)
        except KeyError:
            self.unknown.add(id(step))
            return
        root = self.roots.get(step.value, step.value)
        self.events.append((root, _Made(step.operator, args, kwargs)))

    def _typed(self, a: Any) -> Any:
        """An argument with types where it uses values. Raises KeyError for an unknown one."""
        if isinstance(a, Use):
            return self.types[a.value]
        if isinstance(a, (list, tuple)):
            return type(a)([self._typed(x) for x in a])
        if isinstance(a, dict):
            return {name: self._typed(x) for name, x in a.items()}
        return a

    def peak(self, symbols: Mapping[str, Number]) -> int:
        """The most bytes at one time where sizes are these; what depends on others is left out.
        Raises ValueError for a call that is given what it does not take."""
        sizes = _Sizes(symbols)
        held: dict[int, int] = {}
        now = most = 0
        for value, made in self.events:
            before = held.pop(value, 0)
            if made is None:
                now -= before
            else:
                held[value] = max(before, sizes.nbytes(made))
                now += held[value] - before
                most = max(most, now)
        return most


class _Sizes:
    """Sizes and types where symbols are known, each of which is evaluated once."""

    def __init__(self, symbols: Mapping[str, Number]) -> None:
        self.symbols = symbols
        self.types: dict[TensorType, Typed] = {}
        self.numbers: dict[Expression, Number] = {}

    def nbytes(self, made: TensorType | _Made) -> int:
        """0 where a size is not known."""
        try:
            if isinstance(made, _Made):
                return made_by(made.operator, self.seen(made.args), self.seen(made.kwargs))
            found = self.typed(made)
        except EvaluationError:
            return 0
        return span(found.shape, found.strides) * found.itemsize

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
            found = self.types[t] = Typed(size, strides, t.dtype)
        return found

    def seen(self, a: Any) -> Any:
        """An argument as a rule sees it."""
        if isinstance(a, TensorType):
            return self.typed(a)
        if isinstance(a, (Symbol, Operation)):
            return self.number(a)
        if isinstance(a, (list, tuple)):
            return type(a)([self.seen(x) for x in a])
        if isinstance(a, dict):
            return {name: self.seen(x) for name, x in a.items()}
        return a
