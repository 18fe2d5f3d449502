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
        self._seen = {int(token) for token in seen}
        self._random = np.random.default_rng(sampling.seed)

    def __call__(self, logits: np.ndarray) -> int:
        """The next token, by float32 logits (vocabulary,), which may be overwritten."""
        self._penalise(logits)
        token = self._draw(logits) if self.sampling.temperature else int(logits.argmax())
        self._seen.add(token)
        return token

    def _penalise(self, logits: np.ndarray) -> None:
        penalty = np.float32(self.sampling.repetition_penalty)
        if penalty != 1:
            at = np.fromiter(self._seen, np.intp, len(self._seen))
            found = logits[at]
            logits[at] = np.where(found > 0, found / penalty, found * penalty)

    def _draw(self, logits: np.ndarray) -> int:
        tokens, chances = candidates(logits, self.sampling)
        ends = np.cumsum(chances, dtype=np.float64)
        at = np.searchsorted(ends, self._random.random() * ends[-1], side="right")
        return int(tokens[min(at, len(tokens) - 1)])


def candidates(logits: np.ndarray, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be drawn, the most likely first, and their chances, which add up to 1."""
    count = min(sampling.top_k or len(logits), len(logits))
    left = np.arange(len(logits))
    if count < len(logits):
        left = np.argpartition(logits, -count)[-count:]
    left = left[np.argsort(-logits[left], kind="stable")]
    scaled = logits[left].astype(np.float64) / sampling.temperature
    chances = np.exp(scaled - scaled[0])
    chances /= chances.sum()
    if sampling.top_p < 1:
        # The last one kept is that with which the sum reaches top_p.
        kept = 1 + int(np.searchsorted(np.cumsum(chances), sampling.top_p, side="left"))
        left, chances = left[:kept], chances[:kept] / chances[:kept].sum()
    return left, chances
