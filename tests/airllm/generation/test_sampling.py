"""What a text's tokens are chosen by."""

from __future__ import annotations

import numpy as np
import pytest

from airllm.generation.sampling import Sampler, Sampling


def test_a_rule_is_an_array_of_what_was_asked_for():
    found = Sampler(Sampling(1, 40, 0.9, 1.1), 100)
    assert found.rule.tolist() == [1, 40, 0.9, 1.1, 0]
    assert Sampler(Sampling(), 100).rule.tolist() == [0, 0, 1, 1, 0]
    assert (found.logits.shape, found.seen.shape, found.seen.any()) == ((1, 100), (100,), False)


def test_a_seed_decides_what_is_drawn():
    def drawn(seed, temperature=1):
        sampler, found = Sampler(Sampling(temperature, seed=seed), 9), []
        for _ in range(5):
            sampler.draw()
            found.append(sampler.rule[-1])
        return found

    assert drawn(3) == drawn(3) == np.random.default_rng(3).random(5).tolist() != drawn(4)
    assert drawn(3, temperature=0) == [0] * 5


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_k": 0}, {"top_p": 1.1}, {"repetition_penalty": 0},
     {"temperature": float("nan")}, {"temperature": float("inf")}],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Sampling(**wrong)
