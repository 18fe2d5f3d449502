"""Pieces of text, and where they end."""

from __future__ import annotations

import pytest

from airllm.generation.text import text_of

TEXT = "Grüße, 世界! One two  three.\nEND and more"


def bytes_decoder(tokens):
    """Every token is a byte, as of tokenizers that fall back to them."""
    return bytes(tokens).decode("utf-8", errors="replace")


def words_decoder(tokens):
    """A space belongs to the word behind it, and goes where a text begins."""
    return "".join(f" {w}" for w in (WORDS[t] for t in tokens)).removeprefix(" ")


WORDS = ["once", "upon", "a", "time"]


def test_characters_are_given_out_whole():
    found = list(text_of(TEXT.encode(), bytes_decoder))
    assert "".join(found) == TEXT
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in found)


def test_spaces_between_words_stay():
    found = list(text_of([0, 1, 2, 3, 3, 2, 1, 0], words_decoder))
    assert "".join(found) == "once upon a time time a upon once"
    assert found[0] == "once"


@pytest.mark.parametrize("stop", [["END"], ["more", "END"], [".\nE", "absent"]])
def test_a_stop_word_is_not_given_out(stop):
    found = "".join(text_of(TEXT.encode(), bytes_decoder, stop))
    assert found == TEXT[: min(TEXT.find(s) for s in stop if s in TEXT)]


def test_what_may_become_a_stop_word_is_held_back():
    pieces = text_of(b"ab..c", bytes_decoder, ["..."])
    assert next(pieces) == "a"
    assert "".join(pieces) == "b..c"


def test_bytes_that_never_become_a_character_come_at_the_end():
    assert "".join(text_of(b"ab\xe4\xb8", bytes_decoder)) == "ab\N{REPLACEMENT CHARACTER}"
