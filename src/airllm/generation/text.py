"""Tokens to pieces of text, up to a stop word.

Knows a tokenizer that decodes. Does not know models.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

#: What decoders put where bytes are no character, or not yet one.
_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
#: Tokens that were given out and are decoded once more before those that follow: what a token
#: stands for may depend on the one before it (the space before a word).
_BEFORE = 4


def text_of(
    tokens: Iterable[int], decode: Callable[[list[int]], str], stop: Collection[str] = ()
) -> Iterator[str]:
    """The text of tokens in pieces, as soon as they are sure.

    stop  texts that end it; none of them, nor what comes after, is given out
    """
    longest, held = max(map(len, stop), default=1) - 1, ""
    for piece in _decoded(tokens, decode):
        held += piece
        ends = [at for at in map(held.find, stop) if at >= 0]
        if ends:
            held = held[: min(ends)]
            break
        # The end may be the beginning of a stop word.
        sure = len(held) - longest
        if sure > 0:
            yield held[:sure]
            held = held[sure:]
    if held:
        yield held


def _decoded(tokens: Iterable[int], decode: Callable[[list[int]], str]) -> Iterator[str]:
    """The text that each token adds; nothing while its last character is not whole."""
    known: list[int] = []
    given = 0
    for token in tokens:
        known.append(token)
        before, after = decode(known[:given]), decode(known)
        if after.endswith(_INCOMPLETE):
            continue
        yield after[len(before) :]
        known, given = known[-_BEFORE:], min(_BEFORE, len(known))
    if given < len(known):
        yield decode(known)[len(decode(known[:given])) :]
