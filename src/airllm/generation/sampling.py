"""One token from logits: greedy, or drawn after temperature, top-k and top-p.

The order of the steps and their meaning are those of the package `transformers`. Sources: Keskar et
al. 2019, "CTRL" (the penalty); Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration"
(top-p). Knows numbers. Does not know models.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. Raises ValueError for what has no meaning.

    temperature         logits are divided by it; 0: the most likely token, always
    top_k               of the most likely tokens so many are left; None: all
    top_p               the fewest most likely tokens that have this probability together are left
    repetition_penalty  logits of tokens that occurred are divided by it, negative ones multiplied
    seed                of the generator that draws; None: another each time
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"temperature must be at least 0, not {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1 or None, not {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if not self.repetition_penalty > 0:
            raise ValueError(f"repetition_penalty must be above 0, not {self.repetition_penalty}.")


class Sampler:
    """Chooses the tokens of one text; `seen` are those that occurred before."""

    def __init__(self, sampling: Sampling, seen: Iterable[int]) -> None:
        self.sampling = sampling
        self._seen = np.unique(np.fromiter(seen, np.intp))
        self._random = np.random.default_rng(sampling.seed)

    def __call__(self, logits: np.ndarray) -> int:
        """The next token, by float32 logits (vocabulary,), which may be overwritten."""
        if self.sampling.repetition_penalty != 1:
            self._penalise(logits)
        token = self._draw(logits) if self.sampling.temperature else int(logits.argmax())
        if self.sampling.repetition_penalty != 1 and token not in self._seen:
            self._seen = np.append(self._seen, token)
        return token

    def _penalise(self, logits: np.ndarray) -> None:
        penalty = np.float32(self.sampling.repetition_penalty)
        found = logits[self._seen]
        logits[self._seen] = np.where(found > 0, found / penalty, found * penalty)

    def _draw(self, logits: np.ndarray) -> int:
        tokens, chances = candidates(logits, self.sampling)
        ends = np.cumsum(chances, out=chances)
        at = np.searchsorted(ends, self._random.random() * ends[-1], side="right")
        return int(tokens[min(at, len(tokens) - 1)])


def candidates(logits: np.ndarray, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be drawn, and their chances, which add up to 1."""
    highest = logits.max()

    def weights(of: np.ndarray) -> np.ndarray:
        found = np.subtract(of, highest, dtype=np.float64)
        found /= sampling.temperature
        return np.exp(found, out=found)

    if sampling.top_k is not None and sampling.top_k < len(logits):
        every = most_likely(logits, sampling.top_k)
        of_every = weights(logits[every])
    else:
        every, of_every = np.arange(len(logits)), weights(logits)
    total = of_every.sum()
    if sampling.top_p == 1:
        of_every /= total
        return every, of_every
    # Few are left as a rule, and sorting all of a vocabulary takes longer than a small model does.
    count, kept = 0, 1
    while count < min(kept, len(every)):
        count = min(max(8 * count, 256), len(every))
        left = most_likely(logits, count)
        chances = weights(logits[left])
        # The last one kept is that with which the sum reaches top_p.
        kept = 1 + int(np.searchsorted(np.cumsum(chances), sampling.top_p * total, side="left"))
    return left[:kept], chances[:kept] / chances[:kept].sum()


def most_likely(logits: np.ndarray, count: int) -> np.ndarray:
    """So many tokens with the highest logits, from the highest on; of equal ones the first."""
    least = np.partition(logits, -count)[-count]
    left = np.flatnonzero(~(logits < least))  # a NaN is not less
    return left[np.argsort(-logits[left], kind="stable")[:count]]
