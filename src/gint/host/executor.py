"""Running programs on tensors: NumPy arrays, and torch tensors on the CPU.

    kernel = load(rms_norm, backend="cpp")
    (y,) = kernel(x=x, w=w, eps=1e-6)

Knows bindings and backends. torch tensors are recognised by what they offer; torch itself is not
imported.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gint.isa import DType
from gint.kernel.interpreter.errors import raise_for
from gint.program import Binding, Param, Program, Slot, SlotBinding, VerifiedProgram, verify

from .backends import Backend, Kernel
from .selection import select

#: Names of element types as NumPy (and ml_dtypes) and torch have them -> ours.
TYPE_NAMES = {
    "bool": "bool", "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16",
}  # fmt: skip


@dataclass(frozen=True)
class TensorView:
    """What a binding needs to know of one tensor. Strides and offset count elements."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    pointer: int
    storage_bytes: int
    device: str
    writable: bool


def view_of(tensor: Any) -> TensorView:
    """Where the elements of a NumPy array or torch tensor lie.

    Raises TypeError for anything else, and for a torch tensor that is not strided.
    """
    if isinstance(tensor, np.ma.MaskedArray):
        raise TypeError("A masked array's mask would be lost; pass array.filled(value).")
    if isinstance(tensor, np.ndarray):
        return _view_of_array(tensor)
    if hasattr(tensor, "untyped_storage") and hasattr(tensor, "data_ptr"):
        return _view_of_torch(tensor)
    raise TypeError(f"Expected a NumPy array or a torch tensor, not {type(tensor).__name__}.")


def _view_of_array(a: np.ndarray) -> TensorView:
    if a.dtype.name not in TYPE_NAMES and a.dtype.name != "uint16":
        raise TypeError(f"NumPy arrays of {a.dtype} cannot be bound to a slot.")
    if not a.dtype.isnative:
        raise TypeError(f"The array's byte order, {a.dtype.str}, is not this machine's.")
    if any(s % a.itemsize for s in a.strides) or not a.flags.aligned:
        raise TypeError(
            f"The array's address or strides {a.strides} are not multiples of the {a.itemsize} "
            f"bytes of {a.dtype}; pass array.copy()."
        )
    # An array of uint16 stands for bfloat16 bits: NumPy has no bfloat16 of its own.
    name = TYPE_NAMES.get(a.dtype.name, "bf16")
    strides = tuple(s // a.itemsize for s in a.strides)
    spans = [(e - 1) * s for e, s in zip(a.shape, strides, strict=True)] if a.size else []
    back = -sum(min(0, span) for span in spans)
    count = back + sum(max(0, span) for span in spans) + bool(a.size)
    low = a.__array_interface__["data"][0] - back * a.itemsize
    return TensorView(
        name, a.shape, strides, back, low, count * a.itemsize, "cpu", bool(a.flags.writeable)
    )


def _view_of_torch(t: Any) -> TensorView:
    name = str(t.dtype).removeprefix("torch.")
    if name not in TYPE_NAMES:
        raise TypeError(f"torch tensors of {t.dtype} cannot be bound to a slot.")
    if t.requires_grad:
        raise TypeError("The tensor requires grad; pass tensor.detach() to run a program on it.")
    if str(t.layout) != "torch.strided":
        raise TypeError(f"A tensor of layout {t.layout} has no strides; use a strided tensor.")
    if t.is_neg():
        raise TypeError("The tensor is a view that negates lazily; pass tensor.resolve_neg().")
    storage = t.untyped_storage()
    return TensorView(
        TYPE_NAMES[name], tuple(t.shape), tuple(t.stride()), t.storage_offset(),
        storage.data_ptr(), storage.nbytes(), t.device.type, True,
    )  # fmt: skip


class Executable:
    """A program loaded into one backend, callable with tensors and parameters by name."""

    def __init__(self, verified: VerifiedProgram, backend: Backend) -> None:
        self.program: Program = verified.program
        self.backend = backend
        _check_capabilities(verified.program, backend)
        self.kernel: Kernel = backend.load(verified)

    def __call__(
        self, /, *, extents: Mapping[str, int] | None = None, **named: Any
    ) -> tuple[Any, ...]:
        """Run on tensors and parameters given by slot and parameter name.

        Output slots left out are allocated as NumPy arrays, or as torch tensors where the first
        input is one. Dimensions of length 1 of inputs are broadcast. `extents` gives the length of
        axes that no tensor shows. Returns the output tensors in the order of their slots. Raises
        TypeError or ValueError naming the slot, RuntimeError for what the program ran into.
        """
        tensors, params = self._sort(named)
        views = {name: view_of(t) for name, t in tensors.items()}
        given = {name: operator.index(n) for name, n in (extents or {}).items()}
        lengths = self._extents(views, given)
        for slot in self.program.slots:
            if slot.name not in tensors:
                tensors[slot.name] = self._allocate(slot, lengths, tensors)
                views[slot.name] = view_of(tensors[slot.name])
        slots = tuple(self._bind(s, views[s.name], lengths) for s in self.program.slots)
        raise_for(self.kernel.launch(Binding(lengths, params, slots)))
        return tuple(tensors[s.name] for s in self.program.slots if s.access.writes)

    def _sort(self, named: dict[str, Any]) -> tuple[dict[str, Any], tuple[int | float, ...]]:
        slots = {s.name for s in self.program.slots}
        params = [p.name for p in self.program.params]
        for name in named:
            if name not in slots and name not in params:
                known = ", ".join([*(s.name for s in self.program.slots), *params])
                raise TypeError(f"{self.program.name} has no slot or parameter {name!r}: {known}.")
        missing = [p for p in params if p not in named]
        if missing:
            raise TypeError(f"{self.program.name} needs the parameter {missing[0]!r}.")
        tensors = {name: value for name, value in named.items() if name in slots}
        for slot in self.program.slots:
            if slot.access.reads and slot.name not in tensors:
                raise TypeError(f"{self.program.name} needs a tensor for slot {slot.name!r}.")
        return tensors, tuple(_number(p, named[p.name]) for p in self.program.params)

    def _extents(
        self, views: dict[str, TensorView], given: dict[str, int]
    ) -> tuple[int, ...]:  # fmt: skip
        axes = self.program.axes
        unknown = given.keys() - {a.name for a in axes}
        if unknown:
            known = ", ".join(a.name for a in axes) or "none"
            raise TypeError(f"{self.program.name} has no axis {min(unknown)!r}; it has: {known}.")
        for name, length in given.items():
            if length < 0:
                raise ValueError(f"Axis {name!r} cannot have the length {length}.")
        lengths: dict[str, int | None] = {a.name: given.get(a.name) for a in axes}
        for slot in self.program.slots:
            view = views.get(slot.name)
            if view is None:
                continue
            self._check(slot, view)
            for axis, length in zip(slot.axes, view.shape, strict=True):
                name = axes[axis].name
                found = lengths[name]
                if found is None or (found == 1 and name not in given):
                    lengths[name] = length
        missing = [name for name, n in lengths.items() if n is None]
        if missing:
            raise ValueError(
                f"No tensor shows the length of axis {missing[0]!r}: "
                f"give extents={{{missing[0]!r}: ...}}."
            )
        return tuple(n for n in lengths.values() if n is not None)

    def _check(self, slot: Slot, view: TensorView) -> None:
        if view.dtype != slot.dtype.name:
            raise TypeError(
                f"Slot {slot.name!r} holds {slot.dtype} and was bound to a tensor of {view.dtype}."
            )
        if len(view.shape) != len(slot.axes):
            names = ", ".join(self.program.axes[a].name for a in slot.axes)
            raise ValueError(
                f"Slot {slot.name!r} has {len(slot.axes)} dimensions ({names}) and was bound to a "
                f"tensor of shape {view.shape}."
            )
        if slot.access.writes and not view.writable:
            raise ValueError(f"Slot {slot.name!r} is written; the array is read-only.")
        if view.device != self.backend.device:
            raise ValueError(
                f"Slot {slot.name!r} is bound to a tensor on {view.device}; the backend "
                f"{self.backend.name!r} reaches {self.backend.device}."
            )

    def _bind(self, slot: Slot, view: TensorView, lengths: tuple[int, ...]) -> SlotBinding:
        strides = []
        for axis, length, stride in zip(slot.axes, view.shape, view.strides, strict=True):
            if length == lengths[axis]:
                strides.append(stride)
            elif length == 1 and not slot.access.writes:
                strides.append(0)
            else:
                raise ValueError(
                    f"Slot {slot.name!r}: axis {self.program.axes[axis].name!r} has the length "
                    f"{lengths[axis]}, the tensor of shape {view.shape} has {length} there."
                )
        return SlotBinding(view.pointer, view.storage_bytes, view.offset, tuple(strides))

    def _allocate(self, slot: Slot, lengths: tuple[int, ...], tensors: dict[str, Any]) -> Any:
        shape = tuple(lengths[a] for a in slot.axes)
        like = next(iter(tensors.values()), None)
        if like is not None and hasattr(like, "new_empty"):
            return like.new_empty(shape, dtype=_torch_dtype(like, slot.dtype))
        return np.empty(shape, dtype=slot.dtype.numpy)


def _check_capabilities(program: Program, backend: Backend) -> None:
    """Raises ValueError for a program beyond what the backend can hold."""
    can = backend.capabilities
    for what, found, most in (
        ("slots", len(program.slots), can.max_slots),
        ("registers", program.register_count, can.max_registers),
    ):
        if found > most:
            raise ValueError(
                f"{program.name} has {found} {what}; the backend {backend.name!r} takes {most}."
            )
    types = {i.type.name for section in program.sections for i in section.instructions}
    if types - can.types:
        raise ValueError(
            f"{program.name} computes in {min(types - can.types)}, which the backend "
            f"{backend.name!r} does not."
        )


def _number(param: Param, value: Any) -> int | float:
    """A parameter's value as Python has it, from any number. Raises TypeError."""
    try:
        if param.dtype.name == "i64":
            return operator.index(value)
        return float(value.__float__())  # float() itself would read strings
    except (TypeError, ValueError, OverflowError, AttributeError):
        raise TypeError(f"Parameter {param.name!r} is {param.dtype}, not {value!r}.") from None


def _torch_dtype(like: Any, t: DType) -> Any:
    import sys

    name = next(theirs for theirs, ours in TYPE_NAMES.items() if ours == t.name)
    return getattr(sys.modules["torch"], name)


def load(program: Program | VerifiedProgram, backend: str | None = None) -> Executable:
    """Load a program into a backend, named or else selected as the configuration says.

    Raises VerificationError for a program that is not well formed, ImportError for a backend that
    is asked for by name and not usable here.
    """
    verified = program if isinstance(program, VerifiedProgram) else verify(program)
    return Executable(verified, select(backend))


def run(
    program: Program | VerifiedProgram, /, backend: str | None = None, **named: Any
) -> tuple[Any, ...]:
    """`load` and call in one step."""
    return load(program, backend)(**named)
