"""Running programs on tensors: NumPy arrays, torch tensors, and whatever else offers
`__cuda_array_interface__`. Tensors are used where they lie; only NumPy arrays are carried to a
device that cannot reach them, and results back.

    kernel = load(rms_norm, backend="cpp")
    (y,) = kernel(x=x, w=w, eps=1e-6)

Knows bindings and backends. torch tensors are recognised by what they offer; torch itself is not
imported.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gint.backend.errors import raise_for
from gint.backend.protocol import Backend, Kernel, describe
from gint.backend.registry import memory_of
from gint.isa import DType
from gint.program import (
    Binding,
    Param,
    Program,
    Slot,
    SlotBinding,
    VerifiedProgram,
    verify,
    verify_binding,
)

from .memory import address
from .selection import select

#: Names of element types as NumPy (and ml_dtypes) and torch have them -> ours.
TYPE_NAMES = {
    "bool": "bool", "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16",
}  # fmt: skip


@dataclass(frozen=True)
class TensorView:
    """What a binding needs to know of one tensor. Strides and offset count elements.

    `ordinal` says which device of the type `device`, `stream` what its owner's work runs on there.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    pointer: int
    storage_bytes: int
    device: str
    writable: bool
    ordinal: int = 0
    stream: int = 0


def view_of(tensor: Any) -> TensorView:
    """Where the elements of a NumPy array, a torch tensor or an array on a GPU lie.

    Raises TypeError for anything else, and for a torch tensor that is not strided.
    """
    if isinstance(tensor, np.ma.MaskedArray):
        raise TypeError("A masked array's mask would be lost; pass array.filled(value).")
    if isinstance(tensor, np.ndarray):
        return _view_of_array(tensor)
    if hasattr(tensor, "untyped_storage") and hasattr(tensor, "data_ptr"):
        return _view_of_torch(tensor)
    if hasattr(tensor, "__cuda_array_interface__"):
        return _view_of_cuda_array(tensor)
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
    back, count = _span(a.shape, strides)
    low = address(a) - back * a.itemsize
    return TensorView(
        name, a.shape, strides, back, low, count * a.itemsize, "cpu", bool(a.flags.writeable)
    )


def _span(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """Elements before the first one, and between the lowest and the highest inclusive."""
    if 0 in shape:
        return 0, 0
    spans = [(e - 1) * s for e, s in zip(shape, strides, strict=True)]
    back = -sum(min(0, span) for span in spans)
    return back, back + sum(max(0, span) for span in spans) + 1


def _view_of_cuda_array(a: Any) -> TensorView:
    facts = a.__cuda_array_interface__
    dtype, shape = np.dtype(facts["typestr"]), tuple(facts["shape"])
    if dtype.name not in TYPE_NAMES and dtype.name != "uint16":
        raise TypeError(f"Arrays of {facts['typestr']} cannot be bound to a slot.")
    if facts.get("mask") is not None:
        raise TypeError("A masked array's mask would be lost.")
    steps = facts.get("strides") or np.empty(shape, dtype).strides
    if any(s % dtype.itemsize for s in steps):
        raise TypeError(f"The array's strides {steps} are not multiples of its element's size.")
    strides = tuple(s // dtype.itemsize for s in steps)
    back, count = _span(shape, strides)
    pointer, read_only = facts["data"]
    ordinal = getattr(getattr(a, "device", None), "id", 0)  # as CuPy says it
    # Stream 1 is the legacy default stream, for which the driver also takes 0, as torch does.
    stream = facts.get("stream") or 0
    return TensorView(
        TYPE_NAMES.get(dtype.name, "bf16"), shape, strides, back,
        (pointer or 0) - back * dtype.itemsize, count * dtype.itemsize, "cuda", not read_only,
        ordinal, 0 if stream == 1 else stream,
    )  # fmt: skip


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
    storage, ordinal = t.untyped_storage(), t.device.index or 0
    stream = 0
    if t.device.type == "cuda":
        stream = sys.modules["torch"].cuda.current_stream(t.device).cuda_stream
    return TensorView(
        TYPE_NAMES[name], tuple(t.shape), tuple(t.stride()), t.storage_offset(),
        storage.data_ptr(), storage.nbytes(), t.device.type, True, ordinal, stream,
    )  # fmt: skip


class Executable:
    """A program loaded into one backend, callable with tensors and parameters by name."""

    def __init__(self, verified: VerifiedProgram, backend: Backend) -> None:
        self.verified, self.program = verified, verified.program
        self.backend = backend
        _check_capabilities(verified.program, backend)
        self.kernel: Kernel = backend.load(verified)

    def __call__(
        self, /, *, extents: Mapping[str, int] | None = None, **named: Any
    ) -> tuple[Any, ...]:
        """Run on tensors and parameters given by slot and parameter name.

        Output slots left out are allocated as NumPy arrays, as torch tensors where the first input
        is one, as arrays with `__cuda_array_interface__` where it is another library's on a GPU.
        Dimensions of length 1 of inputs are broadcast. `extents` gives the length of axes that no
        tensor shows. Returns the output tensors in the order of their slots. Raises
        TypeError or ValueError naming the slot, RuntimeError for what the program ran into.
        """
        tensors, views, binding = self._binding(named, extents)
        if memory_of(self.backend) is not None:
            raise_for(self._launch_there(binding, tensors, views))
        else:
            raise_for(self.kernel.launch(binding))
        return tuple(tensors[s.name] for s in self.program.slots if s.access.writes)

    def describe(self, /, *, extents: Mapping[str, int] | None = None, **named: Any) -> str:
        """What the backend makes of a call with these arguments, as text; nothing runs.

        Raises what the call would for arguments that do not fit.
        """
        _, _, binding = self._binding(named, extents)
        slots = tuple((s.storage_bytes, s.offset, s.strides) for s in binding.slots)
        return describe(self.kernel, binding.extents, binding.params, slots)

    def _binding(
        self, named: dict[str, Any], extents: Mapping[str, int] | None
    ) -> tuple[dict[str, Any], dict[str, TensorView], Binding]:
        """The tensors of all slots, results allocated, how they lie, and the binding of them."""
        tensors, params = self._sort(named)
        views = {name: self._view(t) for name, t in tensors.items()}
        given = {name: operator.index(n) for name, n in (extents or {}).items()}
        lengths = self._extents(views, given)
        for slot in self.program.slots:
            if slot.name not in tensors:
                tensors[slot.name] = self._allocate(slot, lengths, tensors)
                views[slot.name] = self._view(tensors[slot.name])
        slots = tuple(self._bind(s, views[s.name], lengths) for s in self.program.slots)
        return tensors, views, Binding(lengths, params, slots)

    def _view(self, tensor: Any) -> TensorView:
        """NumPy arrays count as lying where they will be carried."""
        view = view_of(tensor)
        if isinstance(tensor, np.ndarray) and memory_of(self.backend) is not None:
            return replace(view, device=self.backend.device)
        return view

    def _launch_there(
        self, binding: Binding, tensors: dict[str, Any], views: dict[str, TensorView]
    ) -> int:
        """Launch on the device's memory: NumPy arrays are copied there, results back."""
        memory = memory_of(self.backend)
        assert memory is not None
        arrays = {name: t for name, t in tensors.items() if isinstance(t, np.ndarray)}
        copies: dict[str, Any] = {}
        if arrays:
            verify_binding(self.verified, binding)  # what the copies no longer show
        slots = list(binding.slots)
        for n, slot in enumerate(self.program.slots):
            if slot.name in arrays:
                array = arrays[slot.name]
                copy = memory.upload(array) if slot.access.reads else memory.allocate(
                    array.shape, array.dtype
                )  # fmt: skip
                copies[slot.name], views[slot.name] = copy, view_of(copy)
                slots[n] = self._bind(slot, views[slot.name], binding.extents)
        where = self._where(views)
        flag = self.kernel.launch(replace(binding, slots=tuple(slots)), **where)
        if arrays:
            flag |= memory.synchronize()
        for slot in self.program.slots:
            if slot.name in arrays and slot.access.writes:
                memory.download(copies[slot.name], arrays[slot.name])
        return flag

    def _where(self, views: dict[str, TensorView]) -> dict[str, int]:
        """The device and stream of a launch; raises ValueError for tensors on several of either.

        Stream 0 is what tensors say that nobody is working on: results allocated just now.
        """
        ordinals = {view.ordinal for view in views.values()}
        if len(ordinals) > 1:
            where = ", ".join(f"{self.backend.device}:{n}" for n in sorted(ordinals))
            raise ValueError(f"The tensors are on several devices: {where}.")
        streams = {view.stream for view in views.values()} - {0}
        if len(streams) > 1:
            raise ValueError(
                f"The tensors' owners work on {len(streams)} streams of {self.backend.device}; "
                f"make one the current one of all, or synchronize them."
            )
        return {"device": ordinals.pop(), "stream": streams.pop() if streams else 0}

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
        memory = memory_of(self.backend)
        if memory is None or like is None or isinstance(like, np.ndarray):
            return np.empty(shape, dtype=slot.dtype.numpy)
        return memory.allocate(shape, np.dtype(slot.dtype.numpy))


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
    types = program.computed_types
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
