"""Chains that end in a reduction give the bits that storing the chain's result and folding that
gives, on every instruction set of the build the same where the opcodes are exact.

    python -m tests.kernel.interpreter.cpp.test_chains     prints a digest of the exact results
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gint.backend import registry
from gint.host.executor import load
from gint.host.frontend import Builder

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.skipif(
        not registry.probe("cpp").usable, reason=f"cpp: {registry.probe('cpp').reason}"
    ),
]
ROOT = Path(__file__).resolve().parents[4]

EXACT: dict[str, Callable] = {
    "square": lambda b, x, r, w: x * x,
    "square of the rest": lambda b, x, r, w: (x - r) * (x - r),
    "product": lambda b, x, r, w: x * w,
    "long": lambda b, x, r, w: b.abs(-(x * r) + w) / 3.0,
    "whole": lambda b, x, r, w: b.floor(x * 3.0) - b.round(b.ceil(x / w) * 0.5) + b.trunc(x - w),
    "root": lambda b, x, r, w: b.sqrt(b.abs(x)) - b.reciprocal(w),
}
INEXACT: dict[str, Callable] = {
    "exp": lambda b, x, r, w: b.exp(x - r),
    "silu": lambda b, x, r, w: x * b.sigmoid(x),
    "all": lambda b, x, r, w: b.erf(b.tanh(b.expm1(b.exp2(x) * r) + w)),
}
FOLDS = ("sum", "prod", "amax", "amin")
# About the lanes of a row (64 f32, 32 f64) and a block (32 to 128).
LENGTHS = (1, 2, 15, 16, 33, 63, 64, 65, 127, 128, 129, 200, 1000)
# Several tiles, which two programs may cut differently.
LONG = (4095, 4096, 4097, 9000)


def chain_and_fold(chain: Callable, fold: str, t: str):
    """y = chain(x), s = fold(chain(x)) in one program each, and s = fold(y) of what was stored."""
    programs = []
    for part in ("stored", "folded", "both"):
        b = Builder(part)
        i, j = b.parallel("i"), b.reduced("j")
        x, r, w = b.input("x", t, i, j), b.input("r", t, i), b.input("w", t, j)
        y = chain(b, x, r, w)
        if part == "both":  # as in softmax: the values of one section are kept for a later one
            b.output("y", t, (i, j), y - getattr(b, fold)(y))
        elif part == "folded":
            b.output("s", t, (i,), getattr(b, fold)(y))
        else:
            b.output("y", t, (i, j), y)
        programs.append(load(b.build(), "cpp"))
    return programs


def fold_only(fold: str, t: str):
    b = Builder("fold")
    i, j = b.parallel("i"), b.reduced("j")
    b.output("s", t, (i,), getattr(b, fold)(b.input("x", t, i, j)))
    return load(b.build(), "cpp")


def inputs(length: int, t: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(length)
    x = rng.standard_normal((3, length))
    x[1, :: max(1, length // 3)] = rng.choice([np.inf, -0.0, 0.0, 1e-40, np.nan])
    x[2] = -0.0
    w = rng.standard_normal(length) + 3
    return {"x": x.astype(t), "r": rng.standard_normal(3).astype(t), "w": w.astype(t)}


@pytest.mark.parametrize("t", ["f32", "f64"])
@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("name", [*EXACT, *INEXACT])
def test_a_chain_that_is_folded_gives_the_bits_of_one_that_is_stored(name, fold, t):
    chain = (EXACT | INEXACT)[name]
    stored, folded, both = chain_and_fold(chain, fold, t)
    again = fold_only(fold, t)
    with np.errstate(all="ignore"):
        for length in LENGTHS:
            values = inputs(length, {"f32": "f4", "f64": "f8"}[t])
            (y,) = stored(**values)
            (expected,) = again(x=y)
            (found,) = folded(**values)
            np.testing.assert_array_equal(found, expected, f"{length} columns")
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
            np.testing.assert_array_equal(both(**values)[0], y - expected[:, None])


def digest() -> str:
    """Of the bits of exact chains and folds, NaN counting as one value."""
    seen = hashlib.sha256()
    for t, dtype in (("f32", "f4"), ("f64", "f8")):
        for chain in EXACT.values():
            for fold in FOLDS:
                for program in chain_and_fold(chain, fold, t)[1:]:
                    for length in LENGTHS + LONG:
                        (found,) = program(**inputs(length, dtype))
                        seen.update(np.where(np.isnan(found), np.nan, found).astype(dtype))
    return seen.hexdigest()


@pytest.mark.parametrize("cols", [2501, 2560, 200])
def test_rows_that_go_past_the_caches_wherever_they_begin(cols):
    b = Builder("rows")
    i, j = b.parallel("i"), b.parallel("j")
    x, r, w = b.input("x", "f32", i, j), b.input("r", "f32", i), b.input("w", "f32", j)
    b.output("y", "f32", (i, j), (x * r + w) * x)
    x = np.random.default_rng(0).standard_normal(((26 << 20) // (4 * cols), cols), np.float32)
    r, w = x[:, 1].copy(), x[1].copy()
    (y,) = load(b.build(), "cpp")(x=x, r=r, w=w)
    np.testing.assert_array_equal(y, (x * r[:, None] + w) * x)


@pytest.mark.parametrize("length", [100, 129, 255, 1000])
def test_a_chain_over_its_own_operand(length):
    b = Builder("in_place")
    i = b.parallel("i")
    x, w = b.inout("x", "f32", i), b.input("w", "f32", i)
    b.store("x", (x * w + 1.5) * w)
    x, w = np.random.default_rng(0).standard_normal((2, length)).astype(np.float32)
    expected = (x * w + 1.5) * w
    load(b.build(), "cpp")(x=x, w=w)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("t", ["f32", "f64"])
@pytest.mark.parametrize("length", [1, 31, 100, 129, 255, 4099, 9000])
def test_values_that_a_chain_reads_once_more(length, t):
    """Where they are kept nothing else lies, be the result where an operand was."""
    b = Builder("kept")
    i = b.parallel("i")
    x, w = b.inout("x", t, i), b.input("w", t, i)
    product = x * w
    root = b.sqrt(b.abs(product) + 1.5)
    b.output("y", t, (i,), (root - product) * root)
    b.store("x", (b.abs(root + x) * product - w) * root)
    x, w = np.random.default_rng(0).standard_normal((2, length)).astype(t.replace("f", "float"))
    product = x * w
    root = np.sqrt(np.abs(product) + x.dtype.type(1.5))
    expected = (np.abs(root + x) * product - w) * root
    found, y = load(b.build(), "cpp")(x=x, w=w)
    np.testing.assert_array_equal(y, (root - product) * root)
    np.testing.assert_array_equal(found, expected)


def test_every_instruction_set_gives_the_same_bits():
    from gint.native.loader import load_native

    sets = [name for name, supported in load_native().instruction_sets() if supported]
    digests = {}
    for name in sets:
        done = subprocess.run(
            [sys.executable, "-m", "tests.kernel.interpreter.cpp.test_chains"],
            cwd=ROOT,
            env={**os.environ, "GINT_CPP_ISA": name},
            capture_output=True,
            text=True,
            check=True,
        )
        digests[name] = done.stdout
    assert len(set(digests.values())) == 1, digests


if __name__ == "__main__":
    print(digest())
