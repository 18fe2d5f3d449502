"""Turns of a conversation in one cache: what both sides said before is not computed again.

Knows a model, tokens and a cache. Does not know text or terminals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from airllm.model import Model


class Conversation:
    """What a model's cache of `capacity` positions holds of a conversation."""

    def __init__(self, model: Model, capacity: int) -> None:
        self._model, self._cache = model, model.new_cache(capacity)
        self._capacity = capacity  # the cache may have room for some more
        self._held: list[int] = []

    def answer(
        self, tokens: Sequence[int], max_new_tokens: int, end_tokens: Collection[int],
        **sampling: Any,
    ) -> Iterator[int]:  # fmt: skip
        """The tokens that follow on the whole conversation `tokens`. Raises ValueError where the
        conversation has no room for them and an answer."""
        room = self._capacity - len(tokens) + 1
        if room < 1:
            raise ValueError(
                f"The conversation has {len(tokens)} tokens; there is room for "
                f"{self._capacity}. Pass a larger --context, or begin anew."
            )
        known = min(self._common(tokens), self._cache.length, len(tokens) - 1)
        self._cache.truncate(known)
        self._held = list(tokens)
        for token in self._model.stream(
            tokens[known:], min(max_new_tokens, room), cache=self._cache, end_tokens=end_tokens,
            **sampling,
        ):  # fmt: skip
            self._held.append(token)
            yield token

    def _common(self, tokens: Sequence[int]) -> int:
        """How many tokens the conversation has had so far."""
        for n, (held, token) in enumerate(zip(self._held, tokens, strict=False)):
            if held != token:
                return n
        return min(len(self._held), len(tokens))
