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
        def place(operand: Any) -> tuple[int, int] | None:
            return moving.get(address(operand)) if isinstance(operand, np.ndarray) else None

        steps = [(w.launch, [*w.operands], [*map(place, w.operands)]) for w in launches]
        self._run: Callable[..., int] = load_native().Sequence(steps, arguments)

    def __call__(self, *addresses: int) -> None:
        """Run all launches. Raises what one of them ran into, and what a signal's handler raises:
        KeyboardInterrupt, say; the launches before have been carried out then."""
        flag = self._run(*addresses)
        if flag:
            raise_for(flag)
