"""What a token of airllm takes between its products, beside its attention.

Clocks are put between the steps of the native call that a token is, and tell in the token itself
what each of them takes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from airllm.generation import Sampling
from airllm.model.row import RecordedRow
from gint.host.recall import WatchedLaunch
from gint.measuring.clock import median
from gint.native.loader import load_native

#: What native launches are, by their types' names: the others are between these.
_PRODUCTS, _ATTENTION = ("Product", "BoundLaunch"), ("RowAttention",)


class Parts(NamedTuple):
    """Seconds of a token, in the median: in attention, and in all that is neither attention nor
    product, Python among it."""

    attention: float
    between: float


def measure_parts(model: Any, prompt: np.ndarray, tokens: int) -> Parts:
    """By so many tokens behind the prompt's, which must be of one row's recorded steps."""
    cache, sampler = model.new_cache(len(prompt) + tokens + 2), model.new_sampler(Sampling())
    model.choose(prompt, cache, sampler)
    model.choose(sampler.token, cache, sampler)  # which is recorded
    decoder = model._decoder
    row, stamps = decoder._recorded, np.zeros(len(decoder._recorded.launches) + 1, np.int64)
    cache.length -= 1  # a row is made at the position that was watched
    decoder._recorded = RecordedRow(_timed(row.launches, stamps), cache, sampler.logits, sampler)
    cache.length += 1
    names = [type(w.launch).__name__ for w in row.launches]
    found = []
    for _ in range(tokens):
        begun = time.perf_counter_ns()
        model.choose(sampler.token, cache, sampler)
        whole, steps = time.perf_counter_ns() - begun, np.diff(stamps)
        attention, products = (
            int(steps[[name in kinds for name in names]].sum()) for kinds in (_ATTENTION, _PRODUCTS)
        )
        found.append(Parts(attention / 1e9, (whole - attention - products) / 1e9))
    return Parts(*(median(list(part)) for part in zip(*found, strict=True)))


def _timed(launches: Sequence[WatchedLaunch], stamps: np.ndarray) -> list[WatchedLaunch]:
    """The launches with a clock before each, and behind the last."""
    places = [stamps[n : n + 1] for n in range(len(stamps))]
    clocks = [WatchedLaunch(load_native().row_clock(at), (at,), False) for at in places]
    pairs = zip(clocks, launches, strict=False)
    return [*chain.from_iterable(pairs), clocks[-1]]
