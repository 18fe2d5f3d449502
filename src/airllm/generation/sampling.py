"""How the tokens of a text are chosen, and what is kept for it from one to the next.

Knows numbers. Does not know models, nor how one token is chosen (airllm.tensor_ops.sampling).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airllm.tensor_ops.sampling import Rule
from gint.host.memory import address


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
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be at least 0 and finite, not {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1 or None, not {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if not self.repetition_penalty > 0:
            raise ValueError(f"repetition_penalty must be above 0, not {self.repetition_penalty}.")


class Sampler:
    """The operands of `sample` for the tokens of one text.

    logits  (1, vocabulary) float32, which the token is chosen by
    seen    (vocabulary,) bool, the tokens that occurred
    rule    (5,) float64, a Rule
    token   (1,) int64, the last one that was chosen

    `addresses` are of their first elements, in this order.
    """

    def __init__(self, sampling: Sampling, vocabulary: int) -> None:
        s = sampling
        # NumPy's generators come with a cryptographic library, which takes up memory.
        self._random = np.random.default_rng(s.seed) if s.temperature else None
        rule = Rule(s.temperature, s.top_k or 0, s.top_p, s.repetition_penalty, drawn=0)
        self.rule = np.array(rule, np.float64)
        self.logits = np.empty((1, vocabulary), np.float32)
        self.seen = np.zeros(vocabulary, bool)
        self.token = np.zeros(1, np.int64)
        operands = self.logits, self.seen, self.rule, self.token
        self.addresses = [*map(address, operands)]

    def draw(self) -> None:
        """Draw the number that decides on the next token, if one does."""
        if self._random is not None:
            self.rule[-1] = self._random.random()
