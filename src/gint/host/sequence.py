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

#: Where an operand begins: at an address, or so many bytes behind an argument.
Place = int | tuple[int, int]


class RecordedSequence:
    """The launches that were watched, as a function of the addresses that change.

    launches   in their order; their operands are kept
    arguments  how many addresses a call gives
    moving     where an operand began when it was watched -> (argument, offset in bytes): in a call
               it begins so far behind that argument. Others are where they were.

    Raises TypeError for a launch that is not native. For one thread at a time.
    """

    def __init__(
        self,
        launches: Sequence[WatchedLaunch],
        arguments: int,
        moving: Mapping[int, tuple[int, int]],
    ) -> None:
        if any(not 0 <= argument < arguments for argument, _ in moving.values()):
            raise ValueError("An operand's place names an argument that there is not.")
        fixed, behind = _places(launches, moving)
        places: list[Place] = [*[(n, 0) for n in range(arguments)], *fixed, *behind]
        number: dict[Place | None, int] = {place: n for n, place in enumerate(places)}
        steps = load_native().RunSteps(
            arguments, [*fixed.values()], len(behind), raise_for, takes_addresses=True
        )
        for place in behind:
            steps.behind(number[place], *place)
        for w in launches:
            values = [number.get(_place(operand, moving)) for operand in w.operands]
            steps.watched(w.launch, [*w.operands], values)
        self._run: Callable[..., None] = steps.finish([])

    def __call__(self, *addresses: int) -> None:
        """Run all launches. Raises what one of them ran into, and what a signal's handler raises:
        KeyboardInterrupt, say; the launches before have been carried out then."""
        self._run(*addresses)


def _place(operand: Any, moving: Mapping[int, tuple[int, int]]) -> Place | None:
    """None for what is no array: packed weights have memory of their own."""
    if not isinstance(operand, np.ndarray):
        return None
    at = address(operand)
    return moving.get(at, at)


def _places(
    launches: Sequence[WatchedLaunch], moving: Mapping[int, tuple[int, int]]
) -> tuple[dict[int, np.ndarray], list[tuple[int, int]]]:
    """An array at each address that stays, and the places behind arguments, not at them."""
    fixed: dict[int, np.ndarray] = {}
    behind: dict[tuple[int, int], None] = {}
    for w in launches:
        for operand in w.operands:
            place = _place(operand, moving)
            if isinstance(place, int):
                fixed[place] = operand
            elif place is not None and place[1]:
                behind[place] = None
    return fixed, [*behind]
