"""One row's steps, recorded once and run in one native call from then on.

The steps of the next token are those of the last one, on the same memory, but for the places that
follow the position, and as long as as many keys are looked at.

Knows which memory follows the position. Does not know the steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gint.host.memory import address
from gint.host.recall import WatchedLaunch
from gint.host.sequence import RecordedSequence

from .cache import Cache


class RecordedRow:
    """The steps of one row, for the positions of one bucket of one cache.

    launches  what was watched at the cache's present length, which is not 0: the row of a position
              and the whole cache must not begin at one address
    logits    where they were written; each call writes into memory of its own

    Raises TypeError for launches that are not native.
    """

    def __init__(self, launches: Sequence[WatchedLaunch], cache: Cache, logits: np.ndarray) -> None:
        self._cache, self._count = cache, cache.attended()
        layer_bytes = cache.heads[0].nbytes
        cos, sin, keep, row = self._addresses()
        moving = {cos: (0, 0), sin: (1, 0), keep: (2, 0), address(logits): (4, 0)}
        moving |= {row + n * layer_bytes: (3, n * layer_bytes) for n in range(len(cache.heads))}
        self._sequence = RecordedSequence(launches, 5, moving)

    def fits(self, cache: Cache) -> bool:
        """Whether the next position of a cache has these steps."""
        return cache is self._cache and cache.attended() == self._count

    def __call__(self, logits: np.ndarray) -> None:
        """The steps of the cache's next position. Raises KeyboardInterrupt, between two of them."""
        self._sequence(*self._addresses(), address(logits))

    def _addresses(self) -> tuple[int, int, int, int]:
        cache, at = self._cache, self._cache.length
        arrays = (cache.cos[at], cache.sin[at], cache.keep(at, 1), cache.heads[0, 0, 0, at])
        return tuple(map(address, arrays))  # type: ignore[return-value]
