"""Random numbers: their distributions, where they come from, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from gint.operators import OPERATORS
from gint.operators.random_numbers import RANDOM, use_generator

COUNT = 40_000
TYPES = ("float16", "float32", "float64")
#: Five deviations of a mean of COUNT numbers: a seed that is drawn once misses it never.
CLOSE = 5 / COUNT**0.5


def full(name):
    """As torch calls it, with its overload."""
    return f"aten.{name}" if "." in name else f"aten.{name}.default"


def seeded():
    return np.random.default_rng(5)


def drawn(name, *args, **kwargs):
    return OPERATORS[full(name)](*args, generator=seeded(), **kwargs)


@pytest.mark.parametrize("dtype", TYPES)
def test_uniform_numbers_stay_below_one(dtype):
    found = drawn("rand", (COUNT,), dtype=np.dtype(dtype))
    assert found.dtype == dtype
    assert found.min() >= 0
    assert found.max() < 1
    assert abs(found.astype("f8").mean() - 0.5) < CLOSE


@pytest.mark.parametrize("dtype", TYPES)
def test_normal_numbers_have_their_moments(dtype):
    found = drawn("normal.float_float", 3.0, 2.0, (COUNT,), dtype=np.dtype(dtype))
    assert found.dtype == dtype
    assert abs(found.astype("f8").mean() - 3) < 2 * CLOSE
    assert abs(found.astype("f8").std() - 2) < 2 * CLOSE


def test_means_and_deviations_may_be_arrays():
    mean, std = np.float32([[-100.0], [100.0]]), np.float32([1e-3, 1.0, 2.0])
    found = drawn("normal.Tensor_Tensor", mean, std)
    assert (found.shape, found.dtype) == ((2, 3), np.float32)
    assert (np.abs(found - mean) < 20).all()
    assert drawn("normal.Tensor_float", mean, 0.0).tolist() == mean.tolist()
    assert drawn("normal.float_Tensor", 7.0, 0 * std).tolist() == [7.0] * 3


def test_integers_are_each_as_likely():
    for found in (drawn("randint", 7, (COUNT,)), drawn("randint.low", -3, 4, (COUNT,)) + 3):
        counts = np.bincount(found, minlength=7)
        assert found.dtype == np.int64
        assert len(counts) == 7
        assert np.abs(counts / COUNT - 1 / 7).max() < CLOSE
    with pytest.raises(ValueError, match="draws from 4 up to below 4"):
        drawn("randint.low", 4, 4, (2,))


def test_a_permutation_has_each_number_once():
    assert sorted(drawn("randperm", 1009).tolist()) == list(range(1009))
    assert drawn("randperm", 0).tolist() == []


def test_bernoulli_takes_its_own_elements_or_a_number():
    p = np.float32([0.0, 0.25, 1.0]).repeat(COUNT).reshape(3, COUNT)
    shares = drawn("bernoulli", p).mean(1)
    assert (shares[0], shares[2]) == (0, 1)
    assert abs(shares[1] - 0.25) < CLOSE
    assert abs(drawn("bernoulli.p", p, 0.75).mean() - 0.75) < CLOSE


def test_dropout_scales_what_it_keeps():
    x = np.ones((COUNT,), np.float32)
    with use_generator(seeded()):
        found, kept = OPERATORS[full("native_dropout")](x, 0.2, True)
    assert abs(kept.mean() - 0.8) < CLOSE
    np.testing.assert_array_equal(found, np.where(kept, np.float32(1.25), 0))
    found, kept = OPERATORS[full("native_dropout")](x, 0.2, False)
    assert kept.all()
    assert (found == x).all()


def test_exponential_and_uniform_numbers_are_like_the_array():
    x = np.empty((COUNT, 1), np.float32)
    assert abs(drawn("exponential", x, 2.0).mean() - 0.5) < CLOSE
    found = drawn("uniform", x, -1.0, 3.0)
    assert (found.shape, found.dtype) == (x.shape, x.dtype)
    assert found.min() >= -1
    assert found.max() <= 3
    assert abs(found.mean() - 1) < 2 * CLOSE


@pytest.mark.parametrize("replacement", [True, False])
def test_positions_are_as_likely_as_their_weights(replacement):
    weights = np.tile(np.float32([1, 0, 3]), (COUNT, 1))
    found = drawn("multinomial", weights, 1, replacement)
    assert (found.shape, found.dtype) == ((COUNT, 1), np.int64)
    shares = np.bincount(found.ravel(), minlength=3) / COUNT
    assert np.abs(shares - [0.25, 0, 0.75]).max() < CLOSE
    if not replacement:
        twice = drawn("multinomial", weights, 2)
        assert np.sort(twice, 1).tolist() == [[0, 2]] * COUNT


def test_weights_that_are_none_are_refused():
    for weights, words in (
        ([1.0, np.nan], "finite"), ([1.0, -1.0], "at least 0"), ([0.0, 0.0], "not all 0"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=words):
            drawn("multinomial", np.float32(weights), 1)
    with pytest.raises(RuntimeError, match="cannot draw 2 different"):
        drawn("multinomial", np.float32([1.0, 0.0]), 2)


def test_numbers_come_from_the_generator_that_is_named():
    once, named = OPERATORS[full("randn")], OPERATORS[full("randn.generator")]
    with use_generator(seeded()):
        first, second = once((5,)), once((5,))
        with use_generator(seeded()):
            assert (once((5,)) == first).all()
        assert (named((5,), generator=seeded()) == first).all()
    assert not (first == second).all()
    assert not (once((5,)) == once((5,))).all()
    with pytest.raises(TypeError, match="A generator is numpy's"):
        named((5,), generator=7)


def test_all_of_them_are_known_as_random():
    assert {*map(full, ("rand", "randn_like.generator", "multinomial"))} <= RANDOM
    assert full("clone") not in RANDOM
