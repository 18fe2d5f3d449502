"""The tokens that may be drawn, beside transformers' processors of logits."""

from __future__ import annotations

import numpy as np
import pytest

from airllm.generation.sampling import Sampler, Sampling, candidates, most_likely


def logits(count=100, seed=0):
    return np.random.default_rng(seed).normal(0, 3, count).astype(np.float32)


@pytest.mark.torch
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [None, 1, 7, 1000])
@pytest.mark.parametrize("top_p", [0.05, 0.9, 1.0])
def test_candidates_are_those_of_transformers(temperature, top_k, top_p):
    torch = pytest.importorskip("torch")
    of = pytest.importorskip("transformers")
    scores = of.TemperatureLogitsWarper(temperature)(None, torch.from_numpy(logits())[None])
    if top_k:
        scores = of.TopKLogitsWarper(top_k)(None, scores)
    if top_p < 1:
        scores = of.TopPLogitsWarper(top_p)(None, scores)
    wanted = scores.softmax(-1)[0].numpy()
    found = np.zeros(100)
    left, chances = candidates(logits(), Sampling(temperature, top_k, top_p))
    found[left] = chances
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert set(left) == set(wanted.nonzero()[0])


@pytest.mark.parametrize("top_k", [None, 3000])
@pytest.mark.parametrize("spread", [0.01, 3.0, 1000.0])
def test_of_many_tokens_those_are_left_that_sorting_all_leaves(top_k, spread):
    values = logits(5000) * np.float32(spread)
    left, chances = candidates(values, Sampling(1.0, top_k, 0.9))
    every = np.argsort(-values, kind="stable")[:top_k]
    wanted = np.exp(values[every].astype(np.float64) - values.max())
    wanted /= wanted.sum()
    kept = 1 + np.searchsorted(np.cumsum(wanted), 0.9)
    assert left.tolist() == every[:kept].tolist()
    np.testing.assert_allclose(chances, wanted[:kept] / wanted[:kept].sum(), rtol=1e-9)


def test_of_equal_tokens_the_first_are_likelier():
    values = np.array([1, 2, 2, -np.inf, 2, 1, -np.inf], np.float32)
    assert [most_likely(values, n).tolist() for n in (2, 4, 6)] == [
        [1, 2],
        [1, 2, 4, 0],
        [1, 2, 4, 0, 5, 3],
    ]


def test_tokens_are_drawn_by_their_chances():
    values, rule = logits(6), Sampling(temperature=2.0, seed=3)
    left, chances = candidates(values, rule)
    sample, count = Sampler(rule, ()), 20_000
    drawn = np.bincount([sample(values) for _ in range(count)], minlength=6) / count
    np.testing.assert_allclose(drawn[left], chances, atol=4 * np.sqrt(0.25 / count))


def test_a_penalty_moves_what_occurred_down():
    values = np.array([2.0, 1.9, -1.0, -1.1], np.float32)
    sample = Sampler(Sampling(repetition_penalty=2.0), [0])
    assert [sample(values.copy()) for _ in range(3)] == [1, 0, 0]
    negative = np.array([-1.1, -1.0], np.float32)
    assert Sampler(Sampling(repetition_penalty=2.0), [1])(negative) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_k": 0}, {"top_p": 1.1}, {"repetition_penalty": 0},
     {"temperature": float("nan")}],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Sampling(**wrong)
