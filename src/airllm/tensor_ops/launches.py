"""Running gint programs on operands, bound once per layout.

An operation is a function that records a program for a number of leading axes and the operands'
types. Knows programs and the active backend. Does not know what operations compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from gint.host.executor import Executable
from gint.host.frontend import Builder
from gint.host.launches import (
    ArrayLaunch,
    extents_of,
    on_arrays,
    raise_for,
    remembered,
    slot_layouts,
)
from gint.host.recall import note_launch
from gint.host.selection import Backend
from gint.host.tensors import view_of_layout

from .arrays import Operand
from .backend import active

#: record(builder, leading axes, types of the operands, further choices...)
Record = Callable[..., None]


def run(
    record: Record,
    operands: Sequence[Operand],
    own: int = 0,
    params: tuple[int | float, ...] = (),
    choices: tuple = (),
) -> None:
    """Run the program that `record` records on the operands, the last of which is a result.

    The last `own` dimensions of the result are axes that the program has by itself; those before
    are the leading axes. Raises what the program ran into.
    """
    backend = active()
    arrays = [o.array for o in operands]
    if backend.memory is not None:  # the executor carries what lies on the host
        types = tuple([o.type for o in operands])
        executable = _executable(backend, record, arrays[-1].ndim - own, types, choices)
        program = executable.program
        names = [s.name for s in program.slots] + [p.name for p in program.params]
        executable(**dict(zip(names, (*arrays, *params), strict=True)))
        return
    layouts = (*[(o.type, o.array.shape, o.array.strides) for o in operands],)
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
