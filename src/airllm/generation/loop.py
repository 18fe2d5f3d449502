"""Tokens one after the other.

Knows a model that chooses one, and a cache. Does not know text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Protocol

from .sampling import Sampler, Sampling


class Generator(Protocol):
    """What a loop asks of a model."""

    @property
    def end_tokens(self) -> Collection[int]: ...
    def new_cache(self, capacity: int) -> Any: ...
    def new_sampler(self, sampling: Sampling) -> Sampler: ...
    def choose(self, tokens: Any, cache: Any, sampler: Sampler) -> int:
        """The token after the tokens, which follow on what the cache holds."""


def stream(
    model: Generator, tokens: Any, max_new_tokens: int = 128, *,
    end_tokens: Collection[int] | None = None, cache: Any = None, **sampling: Any,
) -> Iterator[int]:  # fmt: skip
    """The tokens that follow on `tokens`, each as soon as it is known.

    tokens      the prompt, integers (rows,), computed in one pass
    end_tokens  tokens with which the text ends, the last one given out; None: the model's own
    cache       one that holds what came before the prompt, to be filled; None: there is nothing
    sampling    as of `Sampling`

    Raises ValueError as the model does, and for values without meaning. Whatever ends it (the
    caller, KeyboardInterrupt), the model can be used again, and the cache holds all positions that
    were computed whole.
    """
    rule = Sampling(**sampling)
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, not {max_new_tokens}.")
    ends = frozenset(model.end_tokens if end_tokens is None else end_tokens)
    return _stream(model, tokens, max_new_tokens, ends, cache, rule)


def generate(model: Generator, tokens: Any, max_new_tokens: int = 128, **options: Any) -> list[int]:
    """As `stream`; all of them."""
    return list(stream(model, tokens, max_new_tokens, **options))


def _stream(
    model: Generator, tokens: Any, count: int, ends: frozenset[int], cache: Any, rule: Sampling
) -> Iterator[int]:
    if not count:
        return
    if cache is None:
        cache = model.new_cache(len(tokens) + count - 1)
    sampler = model.new_sampler(rule)
    token = model.choose(tokens, cache, sampler)
    for left in reversed(range(count)):
        yield token
        if not left or token in ends:
            return
        token = model.choose(sampler.token, cache, sampler)
