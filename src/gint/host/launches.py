"""From tensors to launches: what a kernel is prepared for, and what was prepared, kept.

    view_of         tensors -> views (tensors.py)
    extents_of      views -> the length of every axis
    slot_layout     a view -> its slot's bytes, offset and strides
    kernel.prepare  extents, parameters, slots -> a bound launch, which `remembered` keeps

Knows programs, views and the protocol of backends. Does not know where tensors come from.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from itertools import count
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from gint.backend.errors import raise_for as raise_for
from gint.backend.protocol import Backend, BoundLaunch, Kernel
from gint.isa import dtype
from gint.program import Program, Slot, SlotLayout, VerifiedProgram

from .forks import keep_free_over_forks
from .memory import address, trim
from .tensors import TensorView

#: Bound launches that one function keeps, those used last.
MOST_BOUND = 256
#: Bytes of loaded programs that the process keeps, those used last: some 2,000 of usual length.
MOST_LOADED_BYTES = 16 << 20

#: Bound launches are small, stay, and lie between large tensors of the caller's: where every call
#: is of another size, holes remain that the next one does not fit. So many leave tens of MiB.
_BINDINGS_PER_TRIM = 128
_bindings = count(1)

#: A bound launch as a function of arrays.
ArrayLaunch = Callable[..., int]

Binder = TypeVar("Binder", bound=Callable[..., ArrayLaunch])


def remembered(bind: Binder) -> Binder:
    """A function that binds launches, and gives the same ones for the same arguments.

    0.0 and -0.0 are the same argument, and not the same parameter of a program: where one may be
    either, its text is an argument too.
    """

    def bind_anew(*arguments: Any) -> ArrayLaunch:
        if not next(_bindings) % _BINDINGS_PER_TRIM:
            trim()
        return bind(*arguments)

    return lru_cache(MOST_BOUND)(bind_anew)  # type: ignore[return-value]


class LoadedStatistics(NamedTuple):
    """Programs that are kept, the bytes they take, about, and at most; loads until now."""

    programs: int
    kept: int
    limit: int
    loads: int


class LoadedKernels:
    """Programs loaded into backends, those used last, up to so many bytes.

    What has been forgotten lives on as long as somebody holds it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lock = Lock()
        self._kept: OrderedDict[tuple[Backend, VerifiedProgram], Kernel] = OrderedDict()
        self._bytes = self._loads = 0

    def __call__(self, backend: Backend, verified: VerifiedProgram) -> Kernel:
        """The program loaded into a backend, once per process however many ask for it."""
        key = backend, verified
        with self.lock:
            if found := self._kept.get(key):
                self._kept.move_to_end(key)
                return found
        made = backend.load(verified)
        with self.lock:
            self._loads += 1
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += loaded_bytes(verified.program)
            while self._bytes > self.limit and len(self._kept) > 1:
                (_, oldest), _ = self._kept.popitem(last=False)
                self._bytes -= loaded_bytes(oldest.program)
            return self._kept[key]

    def statistics(self) -> LoadedStatistics:
        with self.lock:
            return LoadedStatistics(len(self._kept), self._bytes, self.limit, self._loads)


def loaded_bytes(program: Program) -> int:
    """About what a program and its kernel take, by the growth of a process that loaded thousands:
    4 KiB, and 1/2 KiB an instruction."""
    return (4 << 10) + 512 * program.instruction_count


load_kernel = LoadedKernels(MOST_LOADED_BYTES)
keep_free_over_forks(load_kernel.lock)


def extents_of(
    program: Program, views: Mapping[str, TensorView], given: Mapping[str, int]
) -> tuple[int, ...]:
    """The length of every axis: as `given`, or as the views of slots by name show it.

    A view's length of 1 broadcasts. Raises ValueError for an axis that nothing shows.
    """
    lengths: dict[int, int] = {
        n: given[axis.name] for n, axis in enumerate(program.axes) if axis.name in given
    }
    fixed = set(lengths)
    for slot in program.slots:
        view = views.get(slot.name)
        for axis, length in zip(slot.axes, view.shape, strict=True) if view else ():
            if axis not in lengths or (lengths[axis] == 1 and axis not in fixed):
                lengths[axis] = length
    for n, missing in enumerate(program.axes):
        if n not in lengths:
            raise ValueError(
                f"No tensor shows the length of axis {missing.name!r}: "
                f"give extents={{{missing.name!r}: ...}}."
            )
    return tuple([lengths[n] for n in range(len(program.axes))])


def slot_layouts(
    program: Program, views: Mapping[str, TensorView], extents: tuple[int, ...]
) -> tuple[SlotLayout, ...]:
    """How every slot lies in the storage of the tensor with its name. Raises ValueError."""
    return tuple([slot_layout(program, s, views[s.name], extents) for s in program.slots])


def slot_layout(
    program: Program, slot: Slot, view: TensorView, extents: tuple[int, ...]
) -> SlotLayout:
    """How a slot lies in its tensor's storage: bytes, offset, strides.

    Lengths of 1 that are only read are repeated. Raises ValueError for lengths that do not match.
    """
    strides = []
    for axis, length, stride in zip(slot.axes, view.shape, view.strides, strict=True):
        if length == extents[axis]:
            strides.append(stride)
        elif length == 1 and not slot.access.writes:
            strides.append(0)
        else:
            raise ValueError(
                f"Slot {slot.name!r}: axis {program.axes[axis].name!r} has the length "
                f"{extents[axis]}, the tensor of shape {view.shape} has {length} there."
            )
    return view.storage_bytes, view.offset, tuple(strides)


def place_of(views: Collection[TensorView], device: str) -> tuple[int, int]:
    """The ordinal of the device and the stream that tensors of the type `device` ask for.

    Stream 0 is what tensors say that nobody is working on: results allocated just now. Raises
    ValueError for tensors on several devices or streams.
    """
    ordinals, streams = {view.ordinal for view in views}, {view.stream for view in views} - {0}
    if len(ordinals) > 1:
        where = ", ".join(f"{device}:{n}" for n in sorted(ordinals))
        raise ValueError(f"The tensors are on several devices: {where}.")
    if len(streams) > 1:
        raise ValueError(
            f"The tensors' owners work on {len(streams)} streams of {device}; "
            f"make one the current one of all, or synchronize them."
        )
    return ordinals.pop(), streams.pop() if streams else 0


def on_arrays(launch: BoundLaunch, views: Sequence[TensorView]) -> ArrayLaunch:
    """The bound launch as a function of NumPy arrays laid out like `views`.

    An array begins at its first element, a storage at its lowest byte.
    """
    shifts = [view.offset * dtype(view.dtype).itemsize for view in views]
    if launch.takes_arrays and not any(shifts):
        return launch

    def launch_on(*arrays: Any) -> int:
        return launch(*(address(a) - s for a, s in zip(arrays, shifts, strict=True)))

    return launch_on
