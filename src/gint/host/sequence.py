"""Many launches and products as one call of native code.

Whoever does the same work again and again, on operands that mostly stay where they are, runs it
once while it is watched (`gint.host.recall.watched`), and from then on all of it in one call: no
Python between launches, whose sum of a few microseconds each is otherwise what small steps cost.

Knows launches and their operands. Does not know what they compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gint.backend.errors import raise_for
from gint.native.loader import load_native

from .memory import address
from .recall import WatchedLaunch


def recorded_sequence(
    launches: Sequence[WatchedLaunch],
    arguments: int,
    moving: Mapping[int, int],
    counted: Mapping[int, int] | None = None,
) -> Callable[..., None]:
    """The launches that were watched, as a function of what changes; their operands are kept.

    arguments  how many addresses a call gives
    moving     where an operand began when it was watched -> the argument at which it begins in a
               call
    counted    the same -> how many bytes further it begins for each one that a call counts; where
               there are such operands, the last argument of a call is that count, 0 as watched

    Others are where they were. The function raises what a launch runs into, and what a signal's
    handler raises: KeyboardInterrupt, say; the launches before have been carried out then. It is
    for one thread at a time.

    Raises TypeError for a launch that is not native.
    """
    counted = counted or {}
    if any(not 0 <= argument < arguments for argument in moving.values()):
        raise ValueError("An operand's place names an argument that there is not.")
    fixed = _fixed(launches, moving)
    counts = [at for at in counted if at in fixed]
    number = {**moving, **{at: arguments + n for n, at in enumerate(fixed)}}
    steps = load_native().RunSteps(
        arguments, [*fixed.values()], len(counts), raise_for, bool(counted), takes_addresses=True
    )
    for value, at in enumerate(counts, arguments + len(fixed)):
        steps.behind(value, number[at], 0, counted[at])
        number[at] = value
    for w in launches:
        steps.watched(w.launch, [*w.operands], [number.get(_place(o)) for o in w.operands])
    return steps.finish([])


def _place(operand: Any) -> int:
    """0, where nothing lies, for what is no array: packed weights have memory of their own."""
    return address(operand) if isinstance(operand, np.ndarray) else 0


def _fixed(launches: Sequence[WatchedLaunch], moving: Mapping[int, int]) -> dict[int, np.ndarray]:
    """An array at each address that no call gives."""
    places = {_place(operand): operand for w in launches for operand in w.operands}
    return {at: operand for at, operand in places.items() if at and at not in moving}
