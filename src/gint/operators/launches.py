"""Programs on NumPy arrays: recorded once for each rank and type, bound once for each layout.

    run(backend, record, arrays)    record writes the program; the last array is a result

Knows how programs are recorded and bound. Does not know what they compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

from gint.backend.errors import raise_for
from gint.host import selection
from gint.host.executor import Executable
from gint.host.frontend import Builder
from gint.host.launches import (
    ArrayLaunch,
    extents_of,
    on_arrays,
    remembered,
    slot_layouts,
)
from gint.host.recall import note_launch
from gint.host.selection import Backend
from gint.host.tensors import TYPE_NAMES, view_of_layout

#: record(builder, leading axes, types of the arrays, further choices...)
Record = Callable[..., None]

_CHOSEN: ContextVar[Backend | None] = ContextVar("gint.operators.backend", default=None)


@contextmanager
def use_backend(backend: Backend) -> Iterator[None]:
    """The operators called inside run their programs on a backend that reaches NumPy arrays."""
    token = _CHOSEN.set(backend)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def active() -> Backend:
    """What runs the operators' programs: what `use_backend` names, or the configured backend; one
    that does not reach NumPy arrays gives way to the first that does."""
    return _CHOSEN.get() or _configured()


@cache
def _configured() -> Backend:
    found = selection.select()
    if found.memory is None:
        return found
    names = selection.usable()
    return selection.select("cpp" if "cpp" in names else "python")


def compute(
    record: Record,
    *arrays: np.ndarray,
    own: int = 0,
    params: tuple[int | float, ...] = (),
    choices: tuple = (),
) -> None:
    """Run a program on arrays of the types they have, on the active backend.

    The last `own` dimensions of the last array, a result, are axes of the program's own.
    """
    if arrays[-1].size:
        types = tuple([TYPE_NAMES[a.dtype.name] for a in arrays])
        run(active(), record, arrays, types, own, params, choices)


def run(
    backend: Backend,
    record: Record,
    arrays: Sequence[Any],
    types: tuple[str, ...],
    own: int = 0,
    params: tuple[int | float, ...] = (),
    choices: tuple = (),
) -> None:
    """Run the program that `record` records on arrays that hold `types`, the last one a result.

    The last `own` dimensions of the result are axes that the program has by itself; those before
    are the leading axes. Raises what the program ran into.
    """
    if backend.memory is not None:  # the executor carries what lies on the host
        executable = _executable(backend, record, arrays[-1].ndim - own, types, choices)
        program = executable.program
        names = [s.name for s in program.slots] + [p.name for p in program.params]
        executable(**dict(zip(names, (*arrays, *params), strict=True)))
        return
    layouts = tuple([(t, a.shape, a.strides) for t, a in zip(types, arrays, strict=True)])
    launch = _bind(backend, record, layouts, own, params, repr(params), choices)
    flag = launch(*arrays)
    if flag:
        raise_for(flag)
    note_launch(launch, arrays)


@remembered
def _bind(
    backend: Backend, record: Record, layouts: tuple[tuple, ...], own: int,
    params: tuple[int | float, ...], text: str, choices: tuple,
) -> ArrayLaunch:  # fmt: skip
    """A launch on arrays of these types, shapes and strides in bytes; `text` says `params`."""
    views = [view_of_layout(*layout) for layout in layouts]
    types = tuple([view.dtype for view in views])
    executable = _executable(backend, record, len(views[-1].shape) - own, types, choices)
    program = executable.program
    named = {s.name: v for s, v in zip(program.slots, views, strict=True)}
    extents = extents_of(program, named, {})
    slots = slot_layouts(program, named, extents)
    return on_arrays(executable.kernel.prepare(extents, params, slots), views)


@cache
def _executable(
    backend: Backend, record: Record, rank: int, types: tuple[str, ...], choices: tuple
) -> Executable:
    builder = Builder(record.__name__)
    lead = tuple(builder.parallel(f"d{i}") for i in range(rank))
    record(builder, lead, types, *choices)
    return Executable(builder.build(), backend)
