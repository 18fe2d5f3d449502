"""One row's attention in native code, beside the formula in float64."""

from __future__ import annotations

import numpy as np
import pytest

from gint.host.selection import select
from gint.native.loader import load_native
from tests.kernel.interpreter.cpp.instruction_sets import run_on_each

pytestmark = pytest.mark.cpp


def operands(heads, queries, keys, size, capacity=None, seed=0, blocks=1):
    """q, k, v, keep, scores, out: k and v are the first `keys` positions of a cache."""
    random, capacity = np.random.default_rng(seed), capacity or keys
    block, block_capacity = keys // blocks, capacity // blocks
    q = random.standard_normal((heads, queries, size), np.float32)
    cached_keys = random.standard_normal((heads, blocks, size, block_capacity), np.float32)
    cached_values = random.standard_normal((heads, capacity, size), np.float32)
    keep = random.random(keys) < 0.8
    keep[random.integers(keys)] = True
    scores = np.full((heads, queries, keys), np.nan, np.float32)
    k, v = cached_keys[..., :block], cached_values[:, :keys]
    return q, k, v, keep, scores, np.full_like(q, np.nan)


def formula(q, k, v, keep):
    scores = np.einsum("hqd,hbdt->hqbt", q.astype(np.float64), k) / np.sqrt(q.shape[-1])
    scores = scores.reshape(*q.shape[:2], -1)
    scores = np.where(keep, scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("hqt,htd->hqd", powers / powers.sum(-1, keepdims=True), v)


def attend(q, k, v, keep, scores, out, threads=0):
    load_native().RowAttention(q, k, v, threads)(q, k, v, keep, scores, out)
    return out


@pytest.mark.parametrize("size", [1, 3, 16, 24, 64, 80, 131])
@pytest.mark.parametrize("keys", [1, 2, 63, 64, 130])
@pytest.mark.parametrize(("heads", "queries"), [(1, 1), (2, 3), (3, 4), (1, 9)])
def test_formula(heads, queries, keys, size):
    given = operands(heads, queries, keys, size, capacity=keys + 5, seed=keys * size)
    wanted = formula(*given[:4])
    # A sum of `size` products, and one of `keys` that add up to 1: each in float32.
    np.testing.assert_allclose(attend(*given), wanted, rtol=0, atol=3e-7 * (size + 16))
    np.testing.assert_allclose(given[4].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize(("blocks", "keys"), [(2, 14), (3, 192)])
def test_keys_in_blocks(blocks, keys):
    given = operands(3, 4, keys, 24, capacity=keys + blocks, blocks=blocks)
    np.testing.assert_allclose(attend(*given), formula(*given[:4]), rtol=0, atol=2e-5)


def halved(x):
    """A view of float16 with the gaps that x has."""
    whole = x.base if x.base is not None and x.base.ndim == x.ndim else x
    return whole.astype(np.float16)[tuple(slice(n) for n in x.shape)]


@pytest.mark.parametrize(
    ("blocks", "keys", "size"), [(1, 1, 1), (2, 14, 24), (3, 192, 64), (1, 67, 19)]
)
def test_keys_and_values_in_halves(blocks, keys, size):
    q, k, v, *rest = operands(3, 5, keys, size, capacity=keys + blocks, blocks=blocks)
    k, v = halved(k), halved(v)
    found = attend(q, k, v, *rest).copy()
    np.testing.assert_allclose(found, formula(q, k, v, rest[0]), rtol=0, atol=2e-5)
    wide = attend(q, k.astype(np.float32), v.astype(np.float32), *rest)
    np.testing.assert_allclose(found, wide, rtol=0, atol=2e-6)


def test_what_lies_before_and_behind_what_is_kept_is_not_read():
    q, k, v, keep, scores, out = operands(2, 5, 192, 24, capacity=195, blocks=3)
    keep[:] = False
    keep[70:90] = True
    keep[77] = False
    wanted = formula(q, k, v, keep)
    k[:, [0, 2]] = v[:, :64] = v[:, 96:] = np.nan  # all but half of the block in between
    k[:, 1, :, 32:] = np.nan
    np.testing.assert_allclose(attend(q, k, v, keep, scores, out), wanted, rtol=0, atol=2e-5)


def test_long_ones_do_not_depend_on_threads():
    given = operands(4, 4, 3000, 64, capacity=4096, blocks=2)
    one = attend(*given, threads=1).copy()
    np.testing.assert_array_equal(attend(*given, threads=4), one)
    np.testing.assert_allclose(one, formula(*given[:4]), rtol=0, atol=3e-5)


def test_large_scores_and_what_is_not_finite():
    q, k, v, keep, scores, out = operands(2, 2, 70, 32)
    keep[:] = True
    q *= 1e3
    np.testing.assert_allclose(
        attend(q, k, v, keep, scores, out), formula(q, k, v, keep), rtol=0, atol=1e-3
    )
    k[0, 0, 7, 5] = np.nan
    found = attend(q, k, v, keep, scores, out)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
    keep[5] = False  # its score does not count
    assert np.isfinite(attend(q, k, v, keep, scores, out)).all()


def test_nothing_that_is_kept_gives_zero():
    q, k, v, keep, scores, out = operands(2, 3, 66, 8)
    keep[:] = False
    assert not attend(q, k, v, keep, scores, out).any()


def test_the_backend_offers_it():
    given = operands(2, 2, 5, 8)
    select("cpp").row_steps.attention(*given[:3])(*given)
    np.testing.assert_allclose(given[5], formula(*given[:4]), atol=1e-5)


def test_other_layouts_are_refused():
    q, k, v, keep, scores, out = operands(2, 3, 10, 8)
    row = load_native().RowAttention
    with pytest.raises(ValueError, match="shapes or strides of q, k and v"):
        row(q, k.transpose(0, 1, 3, 2), v, 0)
    with pytest.raises(ValueError, match="shapes or strides of q, k and v"):
        row(q, k, v[:, :9], 0)
    with pytest.raises(ValueError, match="whole elements, forwards"):
        row(q, k, v[:, ::-1], 0)
    with pytest.raises(ValueError, match="aligned float32 arrays"):
        row(q.astype("f8"), k, v, 0)
    with pytest.raises(ValueError, match="of one type"):
        row(q, k.astype("f2"), v, 0)
    run = row(q, k, v, 0)
    with pytest.raises(ValueError, match="keep is bool, one for each key"):
        run(q, k, v, keep[:9], scores, out)
    with pytest.raises(ValueError, match="results' shapes do not match"):
        run(q, k, v, keep, scores[:, :, :9], out)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="results' shapes do not match, or"):
        run(q, k, v, keep, scores, out)
    with pytest.raises(TypeError, match="of NumPy arrays"):
        row([1], k, v, 0)


@pytest.mark.checkout
def test_every_instruction_set():
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_attention import *\n"
        "given = operands(2, 5, 70, 40)\n"
        "np.testing.assert_allclose(attend(*given), formula(*given[:4]), rtol=0, atol=2e-5)\n"
        "test_keys_and_values_in_halves(3, 192, 64)"
    )
