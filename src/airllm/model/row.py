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
        # Addresses of position 0, and how far the next position's are: a token finds little of what
        # Python knows in the processor's caches, so little is asked for.
        kept = cache.keep(0, 1)
        arrays = (cache.cos, cache.sin, kept, cache.heads[0, 0, 0])
        steps = (cache.cos.strides[0], cache.sin.strides[0], -kept.itemsize, arrays[3].strides[0])
        self._places = tuple(zip(map(address, arrays), steps, strict=True))
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

    def _addresses(self) -> list[int]:
        """Of the rotation's cosines and sines, the mask, the first head's row in the cache."""
        at = self._cache.length
        return [first + at * step for first, step in self._places]
