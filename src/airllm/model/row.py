"""One row's steps, recorded once and run in one native call from then on.

The steps of the next token are those of the last one, on the same memory, but for the places that
follow the position, and as long as as many keys are looked at.

Knows which memory follows the position. Does not know the steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from airllm.generation.sampling import Sampler
from airllm.tensor_ops.backend import active
from gint.host.memory import address
from gint.host.recall import WatchedLaunch
from gint.host.sequence import recorded_sequence

from .cache import BUCKET, Cache


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
        # A token finds little of what Python knows in the processor's caches, so little is asked
        # for from one to the next.
        self._cache, self._chooses, self._backend = cache, sampler is not None, active()
        end = cache.attended()
        self._watched, self._positions = cache.length, range(max(end - BUCKET, 1), end)
        given = _results(logits, sampler)
        moving = {at: n for n, at in enumerate(given)}
        self._run = recorded_sequence(launches, len(given), moving, _by_position(cache))

    def fits(self, cache: Cache, sampler: Sampler | None = None) -> bool:
        """Whether the next position of a cache has these steps."""
        return (
            cache is self._cache
            and cache.length in self._positions
            and self._chooses == (sampler is not None)
            and active() is self._backend
        )

    def __call__(self, logits: np.ndarray, sampler: Sampler | None = None) -> None:
        """The steps of the cache's next position. Raises KeyboardInterrupt, between two of them."""
        self._run(*_results(logits, sampler), self._cache.length - self._watched)


def _by_position(cache: Cache) -> dict[int, int]:
    """Where what follows the position begins -> how far the next one's is: the rotation's cosines
    and sines, the mask, and each layer's keys and values."""
    at = cache.length
    (key,) = cache.key_places(0, 1)
    value = cache.values[0, 0, at:]
    found = {address(table[at:]): table.strides[0] for table in (cache.cos, cache.sin)}
    found[address(cache.keep(at, 1))] = -1
    for first, step, layers in (
        (key.place, key.place.strides[-1], cache.keys), (value, value.strides[0], cache.values)
    ):  # fmt: skip
        found |= {address(first) + n * layer.nbytes: step for n, layer in enumerate(layers)}
    return found


def _results(logits: np.ndarray, sampler: Sampler | None) -> list[int]:
    """Addresses of the logits, and of what else a token is chosen by."""
    return [address(logits)] if sampler is None else sampler.addresses
