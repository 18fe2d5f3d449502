"""One row's steps, recorded once and run in one native call from then on.

The steps of the next token are those of the last one, on the same memory, but for the places that
follow the position, and as long as as many keys are looked at.

Knows which memory follows the position. Does not know the steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from airllm.generation.sampling import Sampler
from gint.host.memory import address
from gint.host.recall import WatchedLaunch
from gint.host.sequence import RecordedSequence

from .cache import Cache


class RecordedRow:
    """The steps of one row, for the positions of one bucket of one cache.

    launches  what was watched at the cache's present length, which is not 0: the row of a position
              and the whole cache must not begin at one address
    logits    where they were written; each call writes into memory of its own
    sampler   by which a token was chosen, or None; each call may have another

    Raises TypeError for launches that are not native.
    """

    def __init__(
        self, launches: Sequence[WatchedLaunch], cache: Cache, logits: np.ndarray,
        sampler: Sampler | None = None,
    ) -> None:  # fmt: skip
        self.launches = launches
        self._cache, self._count, self._chooses = cache, cache.attended(), sampler is not None
        # Addresses of the first position, and how far the next one's are: a token finds little of
        # what Python knows in the processor's caches, so little is asked for.
        self._first = at = cache.length
        (key,) = cache.key_places(0, 1)
        rows = (
            cache.cos[at:],
            cache.sin[at:],
            cache.keep(at, 1),
            key.place,
            cache.values[0, 0, at:],
        )
        steps = [array.strides[-1 if array is key.place else 0] for array in rows]
        steps[2] = -steps[2]
        self._places = tuple(zip(map(address, rows), steps, strict=True))
        given = [*self._addresses(), *_results(logits, sampler)]
        moving = {first: (n, 0) for n, first in enumerate(given)}
        for argument, cached in ((3, cache.keys), (4, cache.values)):
            first, layer_bytes = self._addresses()[argument], cached[0].nbytes
            for layer in range(len(cached)):
                moving[first + layer * layer_bytes] = (argument, layer * layer_bytes)
        self._sequence = RecordedSequence(launches, len(given), moving)

    def fits(self, cache: Cache, sampler: Sampler | None = None) -> bool:
        """Whether the next position of a cache has these steps."""
        is_same = cache is self._cache and cache.attended() == self._count
        return is_same and self._chooses == (sampler is not None)

    def __call__(self, logits: np.ndarray, sampler: Sampler | None = None) -> None:
        """The steps of the cache's next position. Raises KeyboardInterrupt, between two of them."""
        self._sequence(*self._addresses(), *_results(logits, sampler))

    def _addresses(self) -> list[int]:
        """Of the rotation's cosines and sines, the mask, the first head's key and value."""
        at = self._cache.length - self._first
        return [first + at * step for first, step in self._places]


def _results(logits: np.ndarray, sampler: Sampler | None) -> list[int]:
    """Addresses of the logits, and of what else a token is chosen by."""
    return [address(logits)] if sampler is None else sampler.addresses
