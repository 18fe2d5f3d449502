"""One token from logits: NumPy's way beside transformers' processors, native code beside that."""

from __future__ import annotations

import numpy as np
import pytest

from airllm.tensor_ops import use_backend
from airllm.tensor_ops.sampling import Rule, candidates, most_likely, sample
from tests.kernel.interpreter.cpp.instruction_sets import run_on_each

BACKENDS = ["python", pytest.param("cpp", marks=pytest.mark.cpp)]


def logits(count=100, seed=0):
    return np.random.default_rng(seed).normal(0, 3, count).astype(np.float32)


def rule(temperature=0.0, top_k=0, top_p=1.0, penalty=1.0, drawn=0.0):
    return Rule(temperature, top_k, top_p, penalty, drawn)


def chosen(values, by, occurred=(), backend="python"):
    """The token; the logits are left as they are."""
    seen, token = np.zeros(len(values), bool), np.zeros(1, np.int64)
    seen[list(occurred)] = True
    with use_backend(backend):
        sample(values.copy(), seen, np.array(by, np.float64), token)
    assert seen.nonzero()[0].tolist() == sorted({*occurred, int(token[0])})
    return int(token[0])


@pytest.mark.torch
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [0, 1, 7, 1000])
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
    left, chances = candidates(logits(), rule(temperature, top_k, top_p))
    found[left] = chances
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert set(left) == set(wanted.nonzero()[0])


@pytest.mark.parametrize("top_k", [0, 3000])
@pytest.mark.parametrize("spread", [0.01, 3.0, 1000.0])
def test_of_many_tokens_those_are_left_that_sorting_all_leaves(top_k, spread):
    values = logits(5000) * np.float32(spread)
    left, chances = candidates(values, rule(1.0, top_k, 0.9))
    every = np.argsort(-values, kind="stable")[: top_k or None]
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


@pytest.mark.parametrize("backend", BACKENDS)
def test_tokens_are_drawn_by_their_chances(backend):
    values = logits(6)
    left, chances = candidates(values, rule(2.0))
    drawn = (np.arange(2000) + 0.5) / 2000
    found = [chosen(values, rule(2.0, drawn=d), backend=backend) for d in drawn]
    counts = np.bincount(found, minlength=6) / 2000
    np.testing.assert_allclose(counts[left], chances, atol=1 / 1000)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_penalty_moves_what_occurred_down(backend):
    values = np.array([2.0, 1.9, -1.0, -1.1], np.float32)
    assert chosen(values, rule(penalty=2.0), [0], backend) == 1
    assert chosen(values, rule(penalty=2.0), [0, 1], backend) == 0
    assert chosen(np.array([-1.1, -1.0], np.float32), rule(penalty=2.0), [1], backend) == 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [1, 5, 64, 257, 1031])
def test_the_likeliest_is_the_first_of_the_highest(count, backend):
    nan, inf = np.nan, np.inf
    for seed, special in enumerate(((), (inf,), (nan, inf), (inf, nan, inf), (-inf,) * count)):
        values = np.random.default_rng(seed).integers(-9, 9, count).astype(np.float32)
        values[np.arange(len(special)) * 53 % count] = special
        for temperature in (0.0, 1.0) if special else (0.0,):
            by = rule(temperature, 3, 0.9, drawn=0.99)
            assert chosen(values, by, backend=backend) == values.argmax()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("temperature", [1e-20, 1e-45, 1e-310])
def test_next_to_no_temperature_the_likeliest_is_drawn(temperature, backend):
    by = rule(temperature, drawn=0.999)
    with np.errstate(over="ignore"):
        assert chosen(logits(70), by, backend=backend) == logits(70).argmax()


@pytest.mark.cpp
@pytest.mark.parametrize("count", [1, 7, 1000, 5003])
@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 30.0])
def test_native_code_draws_what_numpy_does(count, spread):
    values = logits(count) * np.float32(spread)
    values[::11] = -np.inf if spread and count > 1 else 0
    random = np.random.default_rng(1)
    for top_k, top_p in ((0, 1.0), (0, 0.9), (0, 1e-6), (3, 1.0), (count, 0.5), (900, 0.99)):
        for drawn in (0.0, *random.random(4), 1 - 2**-53):
            by = rule(0.7, top_k, top_p, drawn=drawn)
            left, chances = candidates(values, by)
            at = left.tolist().index(chosen(values, by, backend="cpp"))
            ends = np.cumsum(chances)
            # Of float32's chances; where two meet within an error either may be meant.
            assert ends[at] - chances[at] - 2e-6 <= drawn <= ends[at] + 2e-6
            assert chances[at] > 0


@pytest.mark.cpp
@pytest.mark.checkout
def test_every_instruction_set():
    run_on_each(
        "from tests.airllm.tensor_ops.test_sampling import *\n"
        "for count in (5, 1031):\n"
        "    test_the_likeliest_is_the_first_of_the_highest(count, 'cpp')\n"
        "    test_native_code_draws_what_numpy_does(count, 1.0)\n"
    )
