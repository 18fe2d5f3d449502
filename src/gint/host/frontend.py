"""Writing programs in Python: a decorator that records calls.

    @bytecode
    def rms_norm(b):
        rows, cols = b.parallel("rows"), b.reduced("cols")
        x, w = b.input("x", "f32", rows, cols), b.input("w", "f32", cols)
        eps = b.cast(b.param("eps", "f64"), "f32")
        mean = b.sum(x * x) / b.cast(b.extent(cols), "f32")
        b.output("y", "f32", (rows, cols), x * b.rsqrt(mean + eps) * w)

`rms_norm` is then a verified program. A builder method exists for every opcode of the table that
computes something (`b.exp(x)`, `b.where(c, x, y)`, `b.amax(x)`); Python's operators are short for
some of them. Values are recorded once however often they are written, and `schedule` arranges them
into sections. Knows programs. Does not know backends, tensors or torch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from gint.dataclass import frozen
from gint.isa import OPCODES, DType, Form, Opcode, dtype, opcode
from gint.isa.instruction import immediate
from gint.isa.opcodes import exists_for
from gint.program import (
    Access,
    Axis,
    AxisKind,
    Param,
    Program,
    Slot,
    VerifiedProgram,
    verify,
)

from .schedule import Node, Store, most_instructions, schedule

Scalar = int | float | bool

_ON_VALUES = (Form.POINTWISE, Form.REDUCE, Form.SCAN)


@frozen(eq=False)
class Value:
    """A recorded value. Python numbers beside it become constants of its type."""

    builder: Builder
    node: Node

    @property
    def type(self) -> DType:
        return self.node.result

    @property
    def axes(self) -> frozenset[int]:
        """The axes the value varies over."""
        return self.node.varies

    def __neg__(self) -> Value:
        return self.builder.emit("neg", self)

    def __invert__(self) -> Value:
        return self.builder.emit("bitwise_not", self)

    def __abs__(self) -> Value:
        return self.builder.emit("abs", self)

    def __bool__(self) -> bool:
        raise TypeError("A recorded value has no truth value of its own; use where(), & and |.")

    if TYPE_CHECKING:  # the operators are set below, from one table

        def _binary(self, other: Value | Scalar) -> Value: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __pow__ = _binary
        __and__ = __or__ = __xor__ = __lshift__ = __rshift__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary


def _operator(name: str, swapped: bool) -> Callable[[Value, Value | Scalar], Value]:
    def method(self: Value, other: Value | Scalar) -> Value:
        left, right = (other, self) if swapped else (self, other)
        return self.builder.emit(name, left, right)

    return method


_OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_div",
    "mod": "remainder", "pow": "pow", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "shift_left", "rshift": "shift_right",
}  # fmt: skip
for _python, _name in _OPERATORS.items():
    setattr(Value, f"__{_python}__", _operator(_name, False))
    setattr(Value, f"__r{_python}__", _operator(_name, True))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Value, f"__{_name}__", _operator(_name, False))
Value.__hash__ = object.__hash__  # type: ignore[method-assign]


class Builder:
    """Records axes, slots, parameters and values; `build` makes the program of them."""

    if TYPE_CHECKING:  # a method per opcode, set below

        def __getattr__(self, name: str) -> Callable[..., Value]: ...

    def __init__(self, name: str = "program") -> None:
        self.name = name
        self.axes: list[Axis] = []
        self.slots: list[Slot] = []
        self.params: list[Param] = []
        self.stores: list[Store] = []
        self._nodes: dict[tuple, Node] = {}

    # Declarations

    def parallel(self, name: str) -> int:
        """A new parallel axis; its index."""
        return self._axis(name, AxisKind.PARALLEL)

    def reduced(self, name: str) -> int:
        """A new reduced axis; its index."""
        return self._axis(name, AxisKind.REDUCED)

    def indexed(self, name: str) -> int:
        """A new axis that is not iterated over: `gather` says where along it to read."""
        return self._axis(name, AxisKind.INDEXED)

    def _axis(self, name: str, kind: AxisKind) -> int:
        self.axes.append(Axis(name, kind))
        return len(self.axes) - 1

    def make_reduced(self, axis: int) -> None:
        """Turn a parallel axis into a reduced one, before the first reduction is recorded."""
        self.axes[axis] = Axis(self.axes[axis].name, AxisKind.REDUCED)

    def input(self, name: str, type: str | DType, *axes: int) -> Value:
        """Declare a slot that is read, with one axis per dimension; what it holds."""
        return self.load(self._slot(name, type, Access.IN, axes))

    def table(self, name: str, type: str | DType, *axes: int) -> int:
        """Declare a slot with indexed axes, which `gather` reads; its number."""
        return self._slot(name, type, Access.IN, axes)

    def inout(self, name: str, type: str | DType, *axes: int) -> Value:
        """Declare a slot that is read and, with `store`, written; what it held before."""
        return self.load(self._slot(name, type, Access.INOUT, axes))

    def output(
        self, name: str, type: str | DType, axes: tuple[int, ...], value: Value | Scalar
    ) -> None:
        """Declare a slot that is written, and what is stored to it."""
        self.store(self._slot(name, type, Access.OUT, axes), value)

    def param(self, name: str, type: str | DType) -> Value:
        """Declare a per-launch number, i64 or f64."""
        self.params.append(Param(name, dtype(type)))
        return self._record(opcode("param"), dtype(type), n=len(self.params) - 1)

    def _slot(self, name: str, type: str | DType, access: Access, axes: tuple[int, ...]) -> int:
        self.slots.append(Slot(name, dtype(type), access, tuple(axes)))
        return len(self.slots) - 1

    # Values

    def load(self, slot: int) -> Value:
        s = self.slots[slot]
        return self._record(opcode("load"), s.dtype, n=slot, varies=frozenset(s.axes))

    def gather(self, slot: int, *positions: Value | Scalar, outside: Scalar | None = None) -> Value:
        """What a `table` holds at i64 positions along its indexed axes, in their order.

        Where one is outside its axis the value is `outside`; without that it is an IndexError of
        the launch. Raises ValueError for another number of positions than the slot has indexed
        axes.
        """
        s = self.slots[slot]
        moving = frozenset(a for a in s.axes if self.axes[a].kind is not AxisKind.INDEXED)
        wanted = len(s.axes) - len(moving)
        if len(positions) != wanted or not wanted:
            raise ValueError(
                f"Slot {s.name!r} has {wanted} indexed axes; {len(positions)} positions are given."
            )
        fills = outside is not None
        op = next(o for o in OPCODES if (o.form, o.inputs, o.fills) == (Form.GATHER, wanted, fills))
        nodes = tuple([self._operand(op, p, dtype("i64")) for p in positions])
        varies = moving.union(*[n.varies for n in nodes])
        imm = 0 if outside is None else immediate(s.dtype, outside)
        return self._record(op, s.dtype, nodes, n=slot, imm=imm, varies=varies)

    def store(self, slot: int | str, value: Value | Scalar) -> None:
        """Store `value` to a slot, given by index or name. Stores happen after all loads."""
        if isinstance(slot, str):
            slot = self._slot_number(slot)
        s = self.slots[slot]
        if not isinstance(value, Value):
            value = self.const(value, s.dtype.compute)
        self._check_own(value)
        if value.type != s.dtype.compute:
            raise ValueError(
                f"Slot {s.name!r} is {s.dtype} and takes {s.dtype.compute}, not {value.type}. "
                f"Use cast(value, '{s.dtype.compute}')."
            )
        node = value.node
        if node.op.name == f"round_{s.dtype}":  # as the store does
            (node,) = node.operands
        self.stores.append(Store(slot, node, s.dtype, frozenset(s.axes)))

    def _slot_number(self, name: str) -> int:
        names = [s.name for s in self.slots]
        if name not in names:
            raise ValueError(f"There is no slot {name!r}; declared: {', '.join(names) or 'none'}.")
        return names.index(name)

    def const(self, value: Scalar, type: str | DType) -> Value:
        """A number as a value. Raises ValueError for one that is no value of the type."""
        t = _compute_type(dtype(type))
        return self._record(opcode("const"), t, imm=immediate(t, value))

    def extent(self, axis: int) -> Value:
        return self._record(opcode("extent"), dtype("i64"), n=axis)

    def index(self, axis: int) -> Value:
        """The position along an axis, i64."""
        return self._record(opcode("index"), dtype("i64"), n=axis, varies=frozenset((axis,)))

    def cast(self, value: Value, type: str | DType) -> Value:
        """The value in another compute type; itself if it has that type."""
        self._check_own(value)
        if type is value.type:
            return value
        target = _compute_type(dtype(type))
        if target == value.type:
            return value
        return self._record(opcode("cast"), target, (value.node,), varies=value.axes)

    def emit(self, name: str, *operands: Value | Scalar) -> Value:
        """Record the opcode `name`, pointwise, a reduction or a scan, on values and numbers.

        Raises ValueError for operands of different types; nothing is promoted silently.
        """
        op = opcode(name)
        if op.form not in _ON_VALUES:
            raise ValueError(f"{name} is not an operation on values; use the builder's {name}().")
        if len(operands) != op.inputs:
            raise ValueError(f"{name} takes {op.inputs} operands, not {len(operands)}.")
        t = self._type_of(op, operands)
        pairs = zip(operands, op.operand_types(t), strict=True)
        nodes = tuple([self._operand(op, o, wanted) for o, wanted in pairs])
        varies = frozenset().union(*[n.varies for n in nodes])
        reduced = {i for i, a in enumerate(self.axes) if a.kind is AxisKind.REDUCED}
        if op.form is Form.REDUCE:
            if not reduced:
                raise ValueError(f"{name} folds over the reduced axes; declare one with reduced().")
            varies -= reduced
        elif op.form is Form.SCAN:
            if len(reduced) != 1:
                raise ValueError(f"{name} runs along the reduced axis; declare one with reduced().")
            varies |= reduced
        return self._record(op, t, nodes, varies=varies)

    def _type_of(self, op: Opcode, operands: tuple[Value | Scalar, ...]) -> DType:
        for wanted, operand in zip(op.operands, operands, strict=True):
            if wanted == "T" and isinstance(operand, Value):
                if not exists_for(op, operand.type):
                    raise ValueError(
                        f"{op.name} does not exist for {operand.type}; "
                        f"it does for {', '.join(op.types)}."
                    )
                return operand.type
        raise ValueError(f"{op.name} needs at least one recorded value as '{op.meaning}' has it.")

    def _operand(self, op: Opcode, operand: Value | Scalar, wanted: DType) -> Node:
        if not isinstance(operand, Value):
            return self.const(operand, wanted).node
        self._check_own(operand)
        if operand.type is not wanted and operand.type != wanted:
            raise ValueError(
                f"{op.name} takes {wanted} here, not {operand.type}. Use cast(value, '{wanted}')."
            )
        return operand.node

    def _check_own(self, value: Value) -> None:
        if value.builder is not self:
            raise ValueError(f"The value belongs to another program, {value.builder.name!r}.")

    def _record(
        self, op: Opcode, t: DType, operands: tuple[Node, ...] = (), n: int = 0,
        imm: Scalar = 0, varies: frozenset[int] = frozenset(),
    ) -> Value:  # fmt: skip
        key = (op.code, t.code, tuple([o.order for o in operands]), n, repr(imm))
        node = self._nodes.get(key)
        if node is None:
            node = Node(op, t, operands, n, imm, varies, len(self._nodes))
            self._nodes[key] = node
        return Value(self, node)

    def build(self) -> VerifiedProgram:
        """The verified program. Raises VerificationError, ValueError if it stores nothing."""
        return verify(self.program())

    def recording(self) -> Hashable:
        """All that the program is made of: equal recordings make equal programs."""
        return (
            self.name, tuple(self.axes), tuple(self.slots), tuple(self.params), tuple(self._nodes),
            tuple([(s.slot, s.node.order) for s in self.stores]),
        )  # fmt: skip

    def most_instructions(self) -> int:
        """A bound on the length of the program, and on its registers, without scheduling it."""
        has_reduced = any(axis.kind is AxisKind.REDUCED for axis in self.axes)
        return most_instructions(self._nodes.values(), len(self.stores), has_reduced)

    def types(self) -> set[str]:
        """The types of what is loaded, computed and stored."""
        return {n.type.name for n in self._nodes.values()} | {s.dtype.name for s in self.stores}

    def program(self) -> Program:
        """The program, not verified. Raises ValueError if it stores nothing."""
        if not self.stores:
            raise ValueError(f"The program {self.name!r} stores nothing; declare an output.")
        parallel = frozenset(i for i, a in enumerate(self.axes) if a.kind is AxisKind.PARALLEL)
        has_reduced = any(a.kind is AxisKind.REDUCED for a in self.axes)
        sections = schedule(self.stores, parallel, has_reduced)
        return Program(
            self.name, tuple(self.axes), tuple(self.slots), tuple(self.params), sections
        )  # fmt: skip


def _compute_type(t: DType) -> DType:
    if t.is_storage_only:
        raise ValueError(
            f"{t} is a type of slots; values are {t.compute}. Use round_{t}(value) to round to it."
        )
    return t


def _builder_method(op: Opcode) -> Callable[..., Value]:
    def method(self: Builder, *operands: Value | Scalar) -> Value:
        return self.emit(op.name, *operands)

    method.__name__ = op.name
    method.__doc__ = f"{op.meaning}  {op.note}".strip()
    return method


for _op in OPCODES:
    if _op.form in _ON_VALUES:
        setattr(Builder, _op.name, _builder_method(_op))


def bytecode(function: Callable[[Builder], None]) -> VerifiedProgram:
    """Decorator: run `function` with a Builder and make the program it recorded."""
    builder = Builder(function.__name__)
    function(builder)
    return builder.build()
