"""Running programs on tensors: NumPy arrays, torch tensors, and whatever else offers
`__cuda_array_interface__`. Tensors are used where they lie; only NumPy arrays are carried to a
device that cannot reach them, and results back.

    kernel = load(rms_norm, backend="cpp")
    (y,) = kernel(x=x, w=w, eps=1e-6)

Knows what a call may be given, and in which order it is read, bound and launched (launches.py).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gint.backend.errors import raise_for
from gint.backend.protocol import Backend, BoundLaunch, Memory
from gint.program import (
    Binding,
    Param,
    Program,
    Slot,
    SlotLayout,
    VerifiedProgram,
    verify,
    verify_binding,
)

from .launches import extents_of, load_kernel, place_of, remembered, slot_layouts
from .selection import select
from .tensors import TensorView, torch_type, view_of


class Call(NamedTuple):
    """The arguments of a call, read and bound. Tensors and views by slot name."""

    tensors: dict[str, Any]
    views: dict[str, TensorView]
    extents: tuple[int, ...]
    params: tuple[int | float, ...]
    slots: tuple[SlotLayout, ...]


class Executable:
    """A program loaded into one backend, callable with tensors and parameters by name."""

    def __init__(self, verified: VerifiedProgram, backend: Backend) -> None:
        self.verified, self.program = verified, verified.program
        self.backend = backend
        _check_capabilities(verified.program, backend)
        self.kernel = load_kernel(backend, verified)
        self._launch = remembered(self._prepare)

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
        call = self._bind(named, extents or {})
        memory = self.backend.memory
        if memory is None:
            launch = self._launch(call.extents, call.params, repr(call.params), call.slots)
            raise_for(launch(*[call.views[s.name].pointer for s in self.program.slots]))
        else:
            raise_for(self._run_on_device(call, memory))
        return tuple([call.tensors[s.name] for s in self.program.slots if s.access.writes])

    def describe(self, /, *, extents: Mapping[str, int] | None = None, **named: Any) -> str:
        """What the backend makes of a call with these arguments, as text; nothing runs.

        Raises what the call would for arguments that do not fit.
        """
        call = self._bind(named, extents or {})
        return self.kernel.describe(call.extents, call.params, call.slots)

    def _bind(self, named: dict[str, Any], given: Mapping[str, int]) -> Call:
        """The arguments of a call as its kernel is prepared for them; results are allocated."""
        tensors, params = self._sort(named)
        lengths = self._lengths(given)
        views = {name: self._view(t) for name, t in tensors.items()}
        for slot in self.program.slots:
            if slot.name in views:
                self._check(slot, views[slot.name])
        extents = extents_of(self.program, views, lengths)
        for slot in self.program.slots:
            if slot.name not in tensors:
                tensors[slot.name] = self._allocate(slot, extents, tensors)
                views[slot.name] = self._view(tensors[slot.name])
        slots = slot_layouts(self.program, views, extents)
        return Call(tensors, views, extents, params, slots)

    def _prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        text: str,
        slots: tuple[SlotLayout, ...],
        device: int | None = None,
    ) -> BoundLaunch:
        """A bound launch; `text` tells parameters from others that are equal, 0.0 from -0.0."""
        return self.kernel.prepare(extents, params, slots, device=device)

    def _view(self, tensor: Any) -> TensorView:
        """NumPy arrays count as lying where they will be carried."""
        view = view_of(tensor)
        if isinstance(tensor, np.ndarray) and self.backend.memory is not None:
            return view._replace(device=self.backend.device)
        return view

    def _run_on_device(self, call: Call, memory: Memory) -> int:
        """Launch on the device's memory: NumPy arrays are copied there, results back."""
        copies = self._upload(call, memory)
        views = call.views | {name: view_of(copy) for name, copy in copies.items()}
        slots = slot_layouts(self.program, views, call.extents) if copies else call.slots
        ordinal, stream = place_of(views.values(), self.backend.device)
        launch = self._launch(call.extents, call.params, repr(call.params), slots, ordinal)
        flag = launch(*[views[s.name].pointer for s in self.program.slots], stream=stream)
        if copies:
            flag |= memory.synchronize()
        for slot in self.program.slots:
            if slot.name in copies and slot.access.writes:
                memory.download(copies[slot.name], call.tensors[slot.name])
        return flag

    def _upload(self, call: Call, memory: Memory) -> dict[str, Any]:
        """Copies of the NumPy arrays by slot name; of those that are only written, memory."""
        arrays = {s: t for s, t in call.tensors.items() if isinstance(t, np.ndarray)}
        if arrays:  # what the copies no longer show
            pointers = [call.views[s.name].pointer for s in self.program.slots]
            bound = Binding.of(call.extents, call.params, call.slots, pointers)
            verify_binding(self.verified, bound)
        read = {s.name for s in self.program.slots if s.access.reads}
        return {
            name: memory.upload(a) if name in read else memory.allocate(a.shape, a.dtype)
            for name, a in arrays.items()
        }

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

    def _lengths(self, given: Mapping[str, int]) -> dict[str, int]:
        """The lengths of axes that a caller gives, by name."""
        known = [a.name for a in self.program.axes]
        for name in sorted(given):
            if name not in known:
                names = ", ".join(known) or "none"
                raise TypeError(f"{self.program.name} has no axis {name!r}; it has: {names}.")
        lengths = {name: operator.index(length) for name, length in given.items()}
        for name, length in lengths.items():
            if length < 0:
                raise ValueError(f"Axis {name!r} cannot have the length {length}.")
        return lengths

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

    def _allocate(self, slot: Slot, lengths: tuple[int, ...], tensors: dict[str, Any]) -> Any:
        shape = tuple(lengths[a] for a in slot.axes)
        like = next(iter(tensors.values()), None)
        if like is not None and hasattr(like, "new_empty"):
            return like.new_empty(shape, dtype=torch_type(slot.dtype))
        memory = self.backend.memory
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
