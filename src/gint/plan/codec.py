"""Plans as what JSON can say, and back.

What is read may come from anybody: every part is checked for its form. A part that can be several
things says which: `{"use": 3}`, `{"symbol": "s0"}`, `["add", ...]` of a size. What it means as a
whole is the verifier's question (verifier.py).
"""

from __future__ import annotations

from typing import Any

from gint.program import VerifiedProgram

from .expressions import OPERATIONS, Expression, Operation, Symbol
from .model import (
    Allocate,
    Argument,
    Call,
    Check,
    Constant,
    Define,
    Expect,
    Foreign,
    Input,
    Item,
    Launch,
    Named,
    Plan,
    Release,
    SlotUse,
    Step,
    TensorType,
    Use,
    View,
)

#: What reading takes no deeper.
MOST_DEPTH = 48
_KINDS = ("dtype", "device", "layout", "memory_format")


class ForeignError(ValueError):
    """A plan that only this process can run; `foreign` is what no file can hold."""

    def __init__(self, foreign: Foreign) -> None:
        super().__init__(f"A plan with {foreign.name} cannot be saved: it has no name.")
        self.foreign = foreign


# Writing


def written_plan(plan: Plan) -> dict[str, Any]:
    """A plan but for its programs. Raises ForeignError."""
    return {
        "inputs": [[i.name, _written_type(i.type), i.written] for i in plan.inputs],
        "constants": [[c.name, _written_type(c.type), c.written] for c in plan.constants],
        "steps": [written_step(s) for s in plan.steps],
        "result": written_argument(plan.result),
    }


def _written_type(t: TensorType | str | None) -> Any:
    if isinstance(t, TensorType):
        return [t.dtype, _sizes(t.size), _sizes(t.strides)]
    return t


def _sizes(sizes: tuple[Expression, ...]) -> list[Any]:
    return [written_expression(e) for e in sizes]


def written_expression(e: Expression) -> Any:
    if isinstance(e, Symbol):
        return e.name
    if isinstance(e, Operation):
        return [e.name, *map(written_expression, e.of)]
    return _written_number(e)


def _written_number(value: Any) -> Any:
    is_odd = isinstance(value, float) and (value != value or value in (float("inf"), -float("inf")))
    return {"float": repr(value)} if is_odd else value


def written_step(step: Step) -> list[Any]:
    """A step as a list, its kind first."""
    if isinstance(step, Define):
        return ["define", step.symbol, step.value, list(step.path)]
    if isinstance(step, Check):
        return ["check", written_expression(step.condition), step.message]
    if isinstance(step, Allocate):
        return ["allocate", step.value, _written_type(step.type), step.device]
    if isinstance(step, Launch):
        slots = [
            [s.value, written_expression(s.nbytes), written_expression(s.offset), _sizes(s.strides)]
            for s in step.slots
        ]
        extents, params = _sizes(step.extents), _sizes(step.params)
        return ["launch", step.program, extents, params, slots, step.device, step.on_copies]
    if isinstance(step, Call):
        if isinstance(step.operator, Foreign):
            raise ForeignError(step.operator)
        args = [written_argument(a) for a in step.args]
        kwargs = [[name, written_argument(a)] for name, a in step.kwargs]
        return ["call", step.value, step.operator, args, kwargs, step.into]
    if isinstance(step, Item):
        return ["item", step.value, step.of, step.number]
    if isinstance(step, View):
        size, strides, offset = _sizes(step.size), _sizes(step.strides), step.offset
        return ["view", step.value, step.of, size, strides, written_expression(offset)]
    if isinstance(step, Expect):
        return ["expect", step.value, _written_type(step.type), step.is_foreign]
    return ["release", list(step.values)]


def written_argument(a: Argument) -> Any:
    if isinstance(a, Use):
        return {"use": a.value}
    if isinstance(a, Named):
        return {a.kind: a.name}
    if isinstance(a, (Symbol, Operation)):
        return {"size": written_expression(a)}
    if isinstance(a, list):
        return [written_argument(x) for x in a]
    if isinstance(a, tuple):
        return {"tuple": [written_argument(x) for x in a]}
    if isinstance(a, dict):
        return {"dict": [[k, written_argument(v)] for k, v in a.items()]}
    if isinstance(a, slice):
        return {"slice": [written_argument(x) for x in (a.start, a.stop, a.step)]}
    if isinstance(a, Foreign):
        raise ForeignError(a)
    return _written_number(a)


# Reading


def plan_of(form: Any, programs: tuple[VerifiedProgram, ...]) -> Plan:
    """The plan that `written_plan` wrote. Raises ValueError saying which part is malformed."""
    inputs, constants, steps, result = _fields(form, "inputs", "constants", "steps", "result")
    return Plan(
        tuple([Input(_text(n), _type(t), _flag(w)) for n, t, w in _rows(inputs, 3)]),
        tuple([_constant(*row) for row in _rows(constants, 3)]),
        programs,
        tuple([_step(row) for row in _list(steps)]),
        argument_of(result),
    )


def _constant(name: Any, t: Any, written: Any) -> Constant:
    found = _type(t)
    if not isinstance(found, TensorType):
        raise _malformed("a constant", t)
    return Constant(_text(name), found, _flag(written))


def _step(row: Any) -> Step:
    row = _list(row)
    kind = row[0] if row else None
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise _malformed("a step", row)
    try:
        return read(*row[1:])
    except TypeError:  # another number of parts
        raise _malformed(f"a step {kind!r}", row) from None


def _launch(program: Any, extents: Any, params: Any, slots: Any, device: Any, copies: Any) -> Step:
    uses = tuple([
        SlotUse(_number(v), expression_of(n), expression_of(o), _expressions(s))
        for v, n, o, s in _rows(slots, 4)
    ])  # fmt: skip
    program, extents, params = _number(program), _expressions(extents), _expressions(params)
    return Launch(program, extents, params, uses, _text(device), _flag(copies))


def _call(value: Any, operator: Any, args: Any, kwargs: Any, into: Any) -> Step:
    given = tuple([argument_of(a) for a in _list(args)])
    named = tuple([(_text(k), argument_of(a)) for k, a in _rows(kwargs, 2)])
    return Call(_number(value), _text(operator), given, named, _flag(into))


def _view(value: Any, of: Any, size: Any, strides: Any, offset: Any) -> Step:
    return View(
        _number(value), _number(of), _expressions(size), _expressions(strides),
        expression_of(offset),
    )  # fmt: skip


def _typed(t: Any) -> TensorType:
    found = _type(t)
    if not isinstance(found, TensorType):
        raise _malformed("a tensor's type", t)
    return found


def _path(path: Any) -> tuple[int | str, ...]:
    if not all(type(p) in (int, str) for p in _list(path)):
        raise _malformed("a path", path)
    return tuple(path)


_READERS: dict[str, Any] = {
    "define": lambda s, v, p: Define(_text(s), _number(v), _path(p)),
    "check": lambda c, m: Check(expression_of(c), _text(m)),
    "allocate": lambda v, t, d: Allocate(_number(v), _typed(t), _text(d)),
    "launch": _launch,
    "call": _call,
    "item": lambda v, of, n: Item(_number(v), _number(of), _number(n)),
    "view": _view,
    "expect": lambda v, t, f: Expect(_number(v), _typed(t), _flag(f)),
    "release": lambda vs: Release(tuple([_number(v) for v in _list(vs)])),
}


def _type(t: Any) -> TensorType | str | None:
    if t is None or t in ("int", "float", "bool"):
        return t
    ((dtype, size, strides),) = _rows([t], 3)
    return TensorType(_text(dtype), _expressions(size), _expressions(strides))


def _expressions(sizes: Any) -> tuple[Expression, ...]:
    return tuple([s if type(s) is int else expression_of(s) for s in _list(sizes)])


def expression_of(e: Any, depth: int = 0) -> Expression:
    if isinstance(e, str):
        return Symbol(e)
    if isinstance(e, list):
        name = e[0] if e else None
        meaning = OPERATIONS.get(name) if isinstance(name, str) else None
        if meaning is None or depth > MOST_DEPTH:
            raise _malformed("a size", e)
        operands = tuple([expression_of(x, depth + 1) for x in e[1:]])
        if len(operands) != (meaning.operands or max(1, len(operands))):
            raise _malformed(f"the operands of {name!r}", e)
        return Operation(str(name), operands)
    return _plain(e)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        (text,) = _fields(value, "float")
        if text not in ("nan", "inf", "-inf"):
            raise _malformed("a number", value)
        return float(text)
    if type(value) not in (bool, int, float):
        raise _malformed("a number", value)
    return value


def argument_of(a: Any, depth: int = 0) -> Argument:
    """The argument that `written_argument` wrote. Raises ValueError."""
    if depth > MOST_DEPTH:
        raise _malformed("an argument", "lists within lists")
    if a is None or isinstance(a, str):
        return a
    if isinstance(a, list):
        return [argument_of(x, depth + 1) for x in a]
    if isinstance(a, dict) and len(a) == 1:
        ((kind, inner),) = a.items()
        if kind in _KINDS:
            return Named(kind, _text(inner))
        if kind == "use":
            return Use(_number(inner))
        if kind == "size":
            return expression_of(inner)
        if kind == "tuple":
            return tuple([argument_of(x, depth + 1) for x in _list(inner)])
        if kind == "dict":
            return {_text(k): argument_of(v, depth + 1) for k, v in _rows(inner, 2)}
        if kind == "slice":
            ((start, stop, step),) = _rows([inner], 3)
            return slice(*[argument_of(x, depth + 1) for x in (start, stop, step)])
    return _plain(a)


def _malformed(what: str, found: Any) -> ValueError:
    return ValueError(f"the plan is malformed: {str(found)[:60]!r} is not {what}.")


def _fields(form: Any, *names: str) -> list[Any]:
    if not isinstance(form, dict) or form.keys() != set(names):
        raise _malformed(f"a record of {', '.join(names)}", form)
    return [form[name] for name in names]


def _list(x: Any) -> list[Any]:
    if not isinstance(x, list):
        raise _malformed("a list", x)
    return x


def _rows(x: Any, width: int) -> list[list[Any]]:
    for row in _list(x):
        if not isinstance(row, list) or len(row) != width:
            raise _malformed(f"a row of {width}", row)
    return x


def _text(x: Any) -> str:
    if not isinstance(x, str):
        raise _malformed("a text", x)
    return x


def _number(x: Any) -> int:
    if type(x) is not int or x < 0:
        raise _malformed("a whole number from 0", x)
    return x


def _flag(x: Any) -> bool:
    if type(x) is not bool:
        raise _malformed("true or false", x)
    return x
