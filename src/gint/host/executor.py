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
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gint.backend.errors import raise_for
from gint.backend.protocol import Backend, Kernel
from gint.backend.registry import memory_of
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

from .selection import select
from .tensors import TensorView, torch_type, view_of


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
        tensors, params = self._sort(named)
        views = {name: self._view(t) for name, t in tensors.items()}
        given = {name: operator.index(n) for name, n in (extents or {}).items()}
        lengths = self._extents(views, given)
        for slot in self.program.slots:
            if slot.name not in tensors:
                tensors[slot.name] = self._allocate(slot, lengths, tensors)
                views[slot.name] = self._view(tensors[slot.name])
        slots = tuple(self._bind(s, views[s.name], lengths) for s in self.program.slots)
        binding = Binding(lengths, params, slots)
        if memory_of(self.backend) is not None:
            raise_for(self._launch_there(binding, tensors, views))
        else:
            raise_for(self.kernel.launch(binding))
        return tuple(tensors[s.name] for s in self.program.slots if s.access.writes)

    def _view(self, tensor: Any) -> TensorView:
        """NumPy arrays count as lying where they will be carried."""
        view = view_of(tensor)
        if isinstance(tensor, np.ndarray) and memory_of(self.backend) is not None:
            return view._replace(device=self.backend.device)
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
            return like.new_empty(shape, dtype=torch_type(slot.dtype))
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
