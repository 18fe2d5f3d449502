"""Turns of a conversation in one cache."""

from __future__ import annotations

import pytest

from airllm import AutoModel
from airllm.cli.conversation import Conversation
from tests.airllm.checkpoints import model_of, tokens, write

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(model_of("llama"), tmp_path_factory.mktemp("llama"))


def test_a_conversation_computes_only_what_is_new(folder):
    model, ids, seen = AutoModel.from_pretrained(folder), tokens(20), []
    original = model._decoder.__call__

    class Watched:
        def __init__(self, inner):
            self.inner = inner

        def __call__(self, given, cache, *results):
            seen.append(len(given))
            original(given, cache, *results)

    model._decoder = Watched(model._decoder)
    talk = Conversation(model, 64)
    first = [*ids[:10]]
    answer = list(talk.answer(first, 3, ()))
    assert seen == [10, 1, 1]
    again = [*first, *answer, *ids[10:]]
    second = list(talk.answer(again, 2, ()))
    assert seen == [10, 1, 1, 11, 1]  # the last token of an answer has not been computed
    assert second == AutoModel.from_pretrained(folder).generate(again, 2, end_tokens=())
    changed = [*first[:4], *ids[10:]]
    assert list(talk.answer(changed, 1, ())) == AutoModel.from_pretrained(folder).generate(
        changed, 1, end_tokens=()
    )
    assert seen[-1] == len(changed) - 4


@pytest.mark.parametrize("capacity", [64, 40])  # as the cache has room, and less
def test_a_conversation_longer_than_was_said_is_refused(capacity, folder):
    talk = Conversation(AutoModel.from_pretrained(folder), capacity)
    ids = [*tokens(capacity + 1)]
    refusal = rf"has {capacity + 1} tokens; there is room for {capacity}.*--context"
    with pytest.raises(ValueError, match=refusal):
        list(talk.answer(ids, 5, ()))
    assert len(list(talk.answer(ids[:-1], 5, ()))) == 1
    assert len(list(talk.answer(ids[:-3], 5, ()))) == 3
