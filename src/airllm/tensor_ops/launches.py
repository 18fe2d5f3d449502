"""Running gint programs on operands, with everything but the pointers bound once per layout.

An operation is a function that records a program for a number of leading axes and the operands'
types. Knows programs and the active backend. Does not know what operations compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from gint.backend.errors import raise_for
from gint.host.executor import Executable, load
from gint.host.frontend import Builder
from gint.host.memory import address
from gint.host.tensors import view_of
from gint.program import VerifiedProgram

from .arrays import Operand
from .backend import active
from .recall import note_launch

#: Bound launches kept, one for each combination of operation, layouts and numbers met.
_MAX_BOUND = 256

#: record(builder, leading axes, types of the operands, further choices...)
Record = Callable[..., None]

_bound: dict[tuple, Callable[..., int]] = {}


def run(
    record: Record,
    operands: Sequence[Operand],
    trailing: Sequence[int],
    params: tuple[int | float, ...] = (),
    choices: tuple = (),
) -> None:
    """Run the program that `record` records on the operands, the last of which are results.

    Axes: `leading` ones, merged as far as all layouts allow, then the program's own. The last
    `trailing[i]` dimensions of operand i are its own axes; those before are the leading axes,
    which operands without any repeat along. Raises what the program ran into.
    """
    backend = active()
    arrays = [o.array for o in operands]
    if backend.device != "cpu":
        _run_there(record, operands, trailing, params, choices)
        return
    key = (
        backend.name, record, choices, params,
        *[a.shape for a in arrays], *[a.strides for a in arrays], *[o.type for o in operands],
    )  # fmt: skip
    bound = _bound.get(key)
    if bound is None:
        if len(_bound) >= _MAX_BOUND:
            _bound.clear()
        bound = _bound[key] = _bind(record, operands, trailing, params, choices)
    flag = bound(*arrays)
    if flag:
        raise_for(flag)
    note_launch(bound, arrays)


def _run_there(
    record: Record, operands: Sequence[Operand], trailing: Sequence[int],
    params: tuple[int | float, ...], choices: tuple,
) -> None:  # fmt: skip
    """On a device of its own, where the executor carries what lies on the host."""
    rank = operands[-1].array.ndim - trailing[-1]
    verified = _program(record, rank, tuple(o.type for o in operands), choices)
    named = {s.name: o.array for s, o in zip(verified.program.slots, operands, strict=True)}
    named |= {p.name: value for p, value in zip(verified.program.params, params, strict=True)}
    _executable(verified, active().name)(**named)


def _bind(
    record: Record, operands: Sequence[Operand], trailing: Sequence[int],
    params: tuple[int | float, ...], choices: tuple,
) -> Callable[..., int]:  # fmt: skip
    views = [view_of(o.array) for o in operands]
    leading = [len(v.shape) - own for v, own in zip(views, trailing, strict=True)]
    shape, merged = _merge(
        views[-1].shape[: leading[-1]],
        [v.strides[:n] if n else None for v, n in zip(views, leading, strict=True)],
    )
    verified = _program(record, len(shape), tuple(o.type for o in operands), choices)
    extents = [0] * len(verified.program.axes)
    slots = []
    for slot, v, n, outer in zip(verified.program.slots, views, leading, merged, strict=True):
        for axis, length in zip(slot.axes, (*shape, *v.shape[n:]) if n else v.shape, strict=True):
            extents[axis] = length
        slots.append((v.storage_bytes, v.offset, (*outer, *v.strides[n:])))
    prepared = _executable(verified, active().name).kernel.prepare(
        tuple(extents), params, tuple(slots)
    )
    # An array begins at its first element, a storage at its lowest byte.
    shifts = [v.offset * o.array.itemsize for o, v in zip(operands, views, strict=True)]
    if not any(shifts) and getattr(prepared, "takes_arrays", False):
        return prepared
    return lambda *arrays: prepared(*(address(a) - s for a, s in zip(arrays, shifts, strict=True)))


def _merge(
    shape: tuple[int, ...], strides: Sequence[tuple[int, ...] | None]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Adjacent dimensions that every layout steps through evenly become one; ones vanish."""
    lengths: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for d, length in enumerate(shape):
        if length == 1:
            continue
        present = [(own, s[d]) for own, s in zip(steps, strides, strict=True) if s]
        if lengths and all(own[-1] == step * length for own, step in present):
            lengths[-1] *= length
            for own, step in present:
                own[-1] = step
        else:
            lengths.append(length)
            for own, step in present:
                own.append(step)
    return tuple(lengths), [tuple(own) for own in steps]


@cache
def _program(record: Record, rank: int, types: tuple[str, ...], choices: tuple) -> VerifiedProgram:
    builder = Builder(record.__name__)
    lead = tuple(builder.parallel(f"d{i}") for i in range(rank))
    record(builder, lead, types, *choices)
    return builder.build()


@cache
def _executable(verified: VerifiedProgram, backend: str) -> Executable:
    return load(verified, backend)
