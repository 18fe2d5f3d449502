"""Tokens one after the other, beside transformers' `generate`."""

from __future__ import annotations

import signal
from contextlib import contextmanager

import numpy as np
import pytest

from airllm import AutoModel, generate, stream
from tests.airllm.checkpoints import model_of, tokens, torch, write

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    return AutoModel.from_pretrained(write(model_of("llama"), tmp_path_factory.mktemp("llama")))


def wanted(ids, count, **options):
    inputs = torch.tensor(ids)[None]
    found = model_of("llama").generate(
        inputs, attention_mask=torch.ones_like(inputs), max_new_tokens=count, do_sample=False,
        **options,
    )  # fmt: skip
    return found[0, len(ids) :].tolist()


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_is_what_transformers_gives(mine, penalty):
    ids = tokens(5)
    found = generate(mine, ids, 80, repetition_penalty=penalty)
    assert found == wanted(ids, 80, repetition_penalty=penalty)
    assert found == mine.generate(ids, 80, repetition_penalty=penalty)
    assert len(set(found)) > 3


def test_an_end_token_is_the_last(mine):
    ids = tokens(5)
    every = generate(mine, ids, 20, end_tokens=())
    found = generate(mine, ids, 20, end_tokens={every[7]})
    assert found == every[: every.index(every[7]) + 1]


def test_tokens_come_as_they_are_known(mine):
    cache = mine.new_cache(64)
    first = stream(mine, tokens(5), 10, cache=cache, end_tokens=())
    assert cache.length == 0
    next(first)
    assert cache.length == 5
    next(first)
    assert cache.length == 6


def test_a_conversation_goes_on_in_its_cache(mine):
    ids, cache = tokens(9), mine.new_cache(64)
    answer = generate(mine, ids[:5], 3, cache=cache, end_tokens=())
    found = generate(mine, [answer[-1], *ids[5:]], 3, cache=cache, end_tokens=())
    assert found == generate(mine, [*ids[:5], *answer, *ids[5:]], 3, end_tokens=())


def test_seeds_decide(mine):
    ids, options = tokens(5), {"temperature": 1.5, "top_k": 50, "top_p": 0.95}
    assert generate(mine, ids, 20, seed=1, **options) == generate(mine, ids, 20, seed=1, **options)
    assert generate(mine, ids, 20, seed=1, **options) != generate(mine, ids, 20, seed=2, **options)


@contextmanager
def signal_after(seconds):
    """Raises KeyboardInterrupt in this thread, as Ctrl-C does, once."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such timer")
@pytest.mark.parametrize("seconds", [0.003, 0.01])
def test_an_interrupt_leaves_the_model_usable(mine, seconds):
    """Positions that were not computed whole are not counted, and the next try is right."""
    ids, cache = tokens(5), mine.new_cache(5000)
    found = []
    with signal_after(seconds), pytest.raises(KeyboardInterrupt):
        found.extend(stream(mine, ids, 4990, cache=cache, end_tokens=()))
    text = [*ids, *found]
    assert cache.length <= len(text)
    cache.truncate(min(cache.length, len(text) - 1))  # the last token's logits are lost
    rest = generate(mine, text[cache.length :], 5, cache=cache, end_tokens=())
    assert rest == generate(mine, text, 5, end_tokens=())


def test_what_has_no_meaning_is_refused_at_once(mine):
    with pytest.raises(ValueError, match="max_new_tokens must be at least 0"):
        stream(mine, [3], -1)
    with pytest.raises(ValueError, match="top_p must be above 0"):
        stream(mine, [3], top_p=0)
    assert generate(mine, [3], 0) == []


def test_a_prompt_is_one_pass(mine):
    seen = []

    class Watched:
        end_tokens = ()
        new_cache, new_sampler = mine.new_cache, mine.new_sampler

        def choose(self, ids, cache, sampler):
            seen.append(len(ids))
            return mine.choose(ids, cache, sampler)

    generate(Watched(), np.arange(3, 20), 3)
    assert seen == [17, 1, 1]
