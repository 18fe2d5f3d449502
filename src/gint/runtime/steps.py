"""The steps of a plan as functions of its values and sizes, prepared once.

A step that depends on no size is prepared when the plan is; any other one for each combination of
the sizes it depends on, the latest of which are kept. So what a call does per step is to pick
values and to call one function.

What depends on sizes is checked here, where memory is bound: a slot or a view reaches no further
than the value it is said to lie in. A kernel checks the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from gint.backend.errors import raise_for
from gint.backend.machine import need_memory
from gint.backend.protocol import BoundLaunch, Kernel
from gint.host.launches import MOST_BOUND
from gint.plan import (
    Allocate,
    Call,
    Check,
    Define,
    Expect,
    Item,
    Launch,
    Named,
    Operation,
    Plan,
    Release,
    Step,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.contents import symbols_in
from gint.plan.demands import demand_of
from gint.plan.dtypes import ELEMENT_TYPES, span
from gint.plan.expressions import evaluate
from gint.plan.verifier import PlanError
from gint.program import VerificationError
from gint.program.facts import may_fail

from .values import Prepared, Values


class Steps:
    """Prepares the steps of a plan for one kind of values. The calls in `unknown`, by `id`, say
    what memory they take when they are made."""

    def __init__(
        self,
        plan: Plan,
        values: Values,
        kernels: Sequence[Kernel],
        unknown: Collection[int] = (),
    ) -> None:
        self.plan, self.values, self.kernels, self.unknown = plan, values, kernels, unknown
        #: What was bound for sizes that are known, by the `id` of the step.
        self.launches: dict[int, BoundLaunch] = {}
        types = [*[i.type for i in plan.inputs], *[c.type for c in plan.constants]]
        self.types = {n: t for n, t in enumerate(types) if isinstance(t, TensorType)}

    def prepare(self, step: Step) -> Prepared:
        """Raises PlanError, VerificationError or LookupError for what can never run."""
        return _PREPARE[type(step)](self, step)

    # Sizes

    def sized(self, expressions: Any, make: Callable[[Any], Any]) -> tuple[Any, Any]:
        """What `make` makes of the values of `expressions`: at once and for good, with None; or a
        function of the sizes they depend on, with what picks those."""
        if _is_plain(expressions):
            return make(expressions), None
        names = sorted(symbols_in(expressions))
        if not names:
            return make(_evaluated(expressions, {})), None

        @lru_cache(MOST_BOUND)
        def bound(numbers: Any, text: str) -> Any:
            known = dict(zip(names, numbers if len(names) > 1 else (numbers,), strict=True))
            return make(_evaluated(expressions, known))

        pick = itemgetter(*names)
        if not any(name.startswith("z") for name in names):
            return (lambda s: bound(pick(s), "")), pick
        # 0.0 and -0.0 are one number, and two parameters.
        return (lambda s: bound(found := pick(s), repr(found))), pick

    def _launch(self, step: Launch) -> Prepared:
        kernel, program = self.kernels[step.program], self.plan.programs[step.program].program
        types = [self.types[slot.value] for slot in step.slots]
        slots = tuple([(slot.nbytes, slot.offset, slot.strides) for slot in step.slots])
        layouts = tuple([(t.size, t.strides) for t in types])
        elements = [ELEMENT_TYPES[t.dtype].nbytes for t in types]

        def bind(found: Any) -> tuple[Any, Any]:
            extents, params, bound, reached = found
            for n, ((nbytes, *_), layout) in enumerate(zip(bound, reached, strict=True)):
                if not 0 <= nbytes <= span(*layout) * elements[n]:
                    raise PlanError(
                        f"{program.name} would reach {nbytes} bytes of a tensor that has "
                        f"{span(*layout) * elements[n]} (slot {n})."
                    )
            launch = kernel.prepare(extents, params, bound)
            return self.values.launcher(launch), launch

        picked = _picking([slot.value for slot in step.slots])
        run = self._running(step, may_fail(program))
        made, pick = self.sized((step.extents, step.params, slots, layouts), bind)
        if pick is not None:
            return lambda v, s: run(made(s), picked(v))
        call, self.launches[id(step)] = made
        if step.on_copies or may_fail(program):
            return lambda v, s: run(made, picked(v))

        def launch_step(v: list[Any], s: dict[str, Any]) -> None:
            call(*picked(v))

        return launch_step

    def _running(self, step: Launch, fails: bool) -> Callable[[Any, tuple], None]:
        slots = self.plan.programs[step.program].program.slots
        written = tuple([n for n, slot in enumerate(slots) if slot.access.writes])
        on_copies = self.values.on_copies

        def run(launch: tuple[Any, Any], operands: tuple) -> None:
            try:
                flag = launch[0](*operands)
            except VerificationError:
                if not step.on_copies:
                    raise
                flag = on_copies(launch[1], operands, written)
            if fails and flag:
                raise_for(flag)

        return run

    def _allocate(self, step: Allocate) -> Prepared:
        self.types[step.value] = step.type
        dtype, n = self.values.dtype_of(step.type.dtype), step.value

        def bind(found: Any) -> Callable[[], Any]:
            if min(found[1], default=0) < 0:
                raise PlanError(f"Value {n} has the strides {found[1]}.")
            return self.values.allocator(dtype, found)

        made, pick = self.sized((step.type.size, step.type.strides), bind)

        def allocate(v: list[Any], s: dict[str, Any]) -> None:
            v[n] = made()

        def allocate_sized(v: list[Any], s: dict[str, Any]) -> None:
            v[n] = made(s)()

        return allocate if pick is None else allocate_sized

    def _view(self, step: View) -> Prepared:
        base = self.types[step.of]
        self.types[step.value] = TensorType(base.dtype, step.size, step.strides)
        n, of = step.value, step.of

        def bind(found: Any) -> Callable[[Any], Any]:
            layout, offset, reached = found
            least, reach = min(offset, *layout[1]), span(*layout)
            if least < 0 or (reach and offset + reach > span(*reached)):
                raise PlanError(
                    f"a tensor seen as {list(layout[0])} from element {offset} on would have to "
                    f"have {offset + reach} elements, and has {span(*reached)} (value {n} "
                    f"of value {of})."
                )
            return self.values.viewer(layout, offset if reach else 0)  # nothing lies anywhere

        layouts = ((step.size, step.strides), step.offset, (base.size, base.strides))
        made, pick = self.sized(layouts, bind)

        def view(v: list[Any], s: dict[str, Any]) -> None:
            v[n] = made(v[of])

        def view_sized(v: list[Any], s: dict[str, Any]) -> None:
            v[n] = made(s)(v[of])

        return view if pick is None else view_sized

    def _expect(self, step: Expect) -> Prepared:
        self.types[step.value] = step.type
        n, values, dtype = step.value, self.values, self.values.dtype_of(step.type.dtype)
        made, pick = self.sized((step.type.size, step.type.strides), lambda found: found)

        def expect(v: list[Any], s: dict[str, Any]) -> None:
            size, strides = made if pick is None else made(s)
            x = v[n]
            if not values.is_value(x) or values.size(x) != size or x.dtype != dtype:
                raise PlanError(
                    f"An operator made {_shape_of(values, x)} where the plan says "
                    f"{step.type.dtype}{list(size)}."
                )
            if values.strides(x) != strides:
                v[n] = values.relaid(x, strides)

        return expect

    def _call(self, step: Call) -> Prepared:
        operator, n = self.values.operator(str(step.operator), step.into), step.value
        if id(step) in self.unknown:
            operator = _in_memory(str(step.operator), operator)
        args = self._arguments(step.args)
        kwargs = dict(step.kwargs)
        if step.into:
            kwargs["out"] = Use(n)
        named = self._dict(kwargs)

        def call(v: list[Any], s: dict[str, Any]) -> None:
            v[n] = operator(*args(v, s), **named(v, s))

        def call_into(v: list[Any], s: dict[str, Any]) -> None:
            operator(*args(v, s), **named(v, s))

        return call_into if step.into else call

    def _item(self, step: Item) -> Prepared:
        def item(v: list[Any], s: dict[str, Any]) -> None:
            v[step.value] = v[step.of][step.number]

        return item

    def _release(self, step: Release) -> Prepared:
        released = step.values

        def release(v: list[Any], s: dict[str, Any]) -> None:
            for n in released:
                v[n] = None

        return release

    def _define(self, step: Define) -> Prepared:
        symbol, n, path = step.symbol, step.value, step.path
        values = self.values
        if len(path) == 2 and path[0] == "size" and n in self.types:
            d: Any = path[1]

            def define_size(v: list[Any], s: dict[str, Any]) -> None:
                s[symbol] = v[n].shape[d]

            return define_size

        def define(v: list[Any], s: dict[str, Any]) -> None:
            try:
                s[symbol] = found = _along(values, v[n], path)
            except (TypeError, IndexError, KeyError, AttributeError) as error:
                raise PlanError(f"The size {symbol} is not found: {error}.") from None
            if not isinstance(found, (bool, int, float)):
                raise PlanError(f"The size {symbol} is no number.")

        return define

    def _check(self, step: Check) -> Prepared:
        made, pick = self.sized(step.condition, bool)
        names = symbols_in(step.condition)

        def check(v: list[Any], s: dict[str, Any]) -> None:
            if not (made if pick is None else made(s)):
                known = ", ".join(f"{k} = {x}" for k, x in s.items() if k in names)
                raise ValueError(f"{step.message} Here {known}.")

        return check

    # Arguments

    def result(self, a: Any) -> Callable[[list[Any], dict[str, Any]], Any]:
        """What the plan returns, of its values and sizes."""
        return self._argument(a)[1]

    def _arguments(self, args: Sequence[Any]) -> Callable[[list[Any], dict[str, Any]], Any]:
        """The arguments of a call as a sequence. Values that come first are picked at once."""
        count = next((i for i, a in enumerate(args) if not isinstance(a, Use)), len(args))
        first = _picking([a.value for a in args[:count]])
        rest = [self._argument(a) for a in args[count:]]
        if all(fixed for fixed, _ in rest):
            after = tuple([made([], {}) for _, made in rest])
            if not after:
                return lambda v, s: first(v)
            return lambda v, s: first(v) + after
        return lambda v, s: first(v) + tuple([made(v, s) for _, made in rest])

    def _dict(self, items: dict[str, Any]) -> Callable[[list[Any], dict[str, Any]], Any]:
        made = {name: self._argument(a) for name, a in items.items()}
        if all(fixed for fixed, _ in made.values()):
            fixed = {name: f([], {}) for name, (_, f) in made.items()}
            return lambda v, s: fixed
        return lambda v, s: {name: f(v, s) for name, (_, f) in made.items()}

    def _argument(self, a: Any) -> tuple[bool, Callable[[list[Any], dict[str, Any]], Any]]:
        """Whether an argument is the same in every call, and what gives it."""
        if isinstance(a, Use):
            n = a.value
            return False, lambda v, s: v[n]
        if isinstance(a, (Symbol, Operation)):
            made, _ = self.sized(a, lambda found: found)
            return False, lambda v, s: made(s)
        if isinstance(a, (list, tuple)):
            inner = [self._argument(x) for x in a]
            if all(fixed for fixed, _ in inner):
                found = type(a)([f([], {}) for _, f in inner])
                return True, lambda v, s: found
            kind = type(a)
            return False, lambda v, s: kind([f(v, s) for _, f in inner])
        if isinstance(a, dict):
            return False, self._dict(a)
        if isinstance(a, slice):
            _, parts = self._argument((a.start, a.stop, a.step))
            return False, lambda v, s: slice(*parts(v, s))
        given = self.values.named(a) if isinstance(a, Named) else a
        return True, lambda v, s: given


_PREPARE: dict[type, Callable[[Steps, Any], Prepared]] = {
    Define: Steps._define, Check: Steps._check, Allocate: Steps._allocate, Launch: Steps._launch,
    Call: Steps._call, Item: Steps._item, View: Steps._view, Expect: Steps._expect,
    Release: Steps._release,
}  # fmt: skip


def _in_memory(name: str, operator: Callable[..., Any]) -> Callable[..., Any]:
    """The operator, where there is memory for what it makes."""

    def call(*args: Any, **kwargs: Any) -> Any:
        need_memory(demand_of(name, args, kwargs).taken, name)
        return operator(*args, **kwargs)

    return call


def _is_plain(e: Any) -> bool:
    """Whether nested tuples hold nothing but whole numbers."""
    if type(e) is tuple:
        return all(map(_is_plain, e))
    return type(e) is int


def _evaluated(e: Any, known: dict[str, Any]) -> Any:
    """The values of nested tuples of expressions."""
    if isinstance(e, tuple):
        return tuple([x if type(x) is int else _evaluated(x, known) for x in e])
    return evaluate(e, known)


def _picking(numbers: Sequence[int]) -> Callable[[list[Any]], tuple]:
    """What picks these values, as a tuple."""
    if len(numbers) > 1:
        return itemgetter(*numbers)
    if not numbers:
        return lambda v: ()
    (n,) = numbers
    return lambda v: (v[n],)


def _along(values: Values, x: Any, path: Sequence[int | str]) -> Any:
    """What a path finds in a value."""
    asked = {"size": values.size, "stride": values.strides, "storage_offset": values.offset}
    for part in path:
        if isinstance(part, int):
            x = x[part]
        elif part == "int":
            x = int(x)
        elif part.startswith("//"):
            x = x // int(part[2:])
        elif part.startswith(("+", "-")):
            x = x + int(part)
        else:
            x = asked[part](x)
    return x


def _shape_of(values: Values, x: Any) -> str:
    return f"{x.dtype}{list(values.size(x))}" if values.is_value(x) else f"a {type(x).__name__}"
