"""One token from logits: greedy, or drawn after temperature, top-k and top-p.

The order of the steps and their meaning are those of the package `transformers`. Sources: Keskar et
al. 2019, "CTRL" (the penalty); Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration"
(top-p). Knows numbers. Does not know models.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gint.host.recall import note_launch

from .backend import active


class Rule(NamedTuple):
    """How one token is chosen; as an array, (5,) float64.

    temperature         logits are divided by it; 0: the most likely token, always
    top_k               of the most likely tokens so many are left; 0: all
    top_p               the fewest most likely tokens that have this probability together are left
    repetition_penalty  logits of tokens that occurred are divided by it, negative ones multiplied
    drawn               from 0 to below 1: where in the chances of what is left, one after the other
    """

    temperature: float
    top_k: float
    top_p: float
    repetition_penalty: float
    drawn: float


def sample(logits: np.ndarray, seen: np.ndarray, rule: np.ndarray, token: np.ndarray) -> None:
    """token (1,) int64 <- the next one by a Rule.

    logits  (vocabulary,) float32 without gaps, which may be overwritten
    seen    (vocabulary,) bool: the tokens that occurred, the new one among them then
    """
    own = active().row_steps
    if own is not None:
        launch, operands = own.sample(logits, seen, rule, token), (logits, seen, rule, token)
        launch(*operands)
        note_launch(launch, operands)
        return
    token[0] = _chosen(logits, seen, Rule(*rule.tolist()))
    seen[token] = True


def _chosen(logits: np.ndarray, seen: np.ndarray, rule: Rule) -> int:
    if rule.repetition_penalty != 1:
        penalty, found = np.float32(rule.repetition_penalty), logits[seen]
        logits[seen] = np.where(found > 0, found / penalty, found * penalty)
    best = int(logits.argmax())
    # Beside an infinite logit, or one that is none, no other has a chance.
    if not (rule.temperature and np.isfinite(logits[best])):
        return best
    tokens, chances = candidates(logits, rule)
    ends = np.cumsum(chances, out=chances)
    at = np.searchsorted(ends, rule.drawn * ends[-1], side="right")
    return int(tokens[min(at, len(tokens) - 1)])


def candidates(logits: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be drawn, and their chances, which add up to 1."""
    highest = logits.max()

    def weights(of: np.ndarray) -> np.ndarray:
        found = np.subtract(of, highest, dtype=np.float64)
        found /= rule.temperature
        return np.exp(found, out=found)

    top_k = int(rule.top_k)
    if 0 < top_k < len(logits):
        every = most_likely(logits, top_k)
        of_every = weights(logits[every])
    else:
        every, of_every = np.arange(len(logits)), weights(logits)
    total = of_every.sum()
    if rule.top_p == 1:
        of_every /= total
        return every, of_every
    # Few are left as a rule, and sorting all of a vocabulary takes longer than a small model does.
    count, kept = 0, 1
    while count < min(kept, len(every)):
        count = min(max(8 * count, 256), len(every))
        left = most_likely(logits, count)
        chances = weights(logits[left])
        # The last one kept is that with which the sum reaches top_p.
        kept = 1 + int(np.searchsorted(np.cumsum(chances), rule.top_p * total, side="left"))
    return left[:kept], chances[:kept] / chances[:kept].sum()


def most_likely(logits: np.ndarray, count: int) -> np.ndarray:
    """So many tokens with the highest logits, from the highest on; of equal ones the first."""
    least = np.partition(logits, -count)[-count]
    left = np.flatnonzero(~(logits < least))  # a NaN is not less
    return left[np.argsort(-logits[left], kind="stable")[:count]]
