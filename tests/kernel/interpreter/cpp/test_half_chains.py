"""Chains take halves from memory and leave halves there: the results are those of the conversions
that NumPy and ml_dtypes make, on every instruction set of the build.

    python -m tests.kernel.interpreter.cpp.test_half_chains     checks one instruction set
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
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
TYPES = {"f16": np.dtype("f2"), "bf16": np.dtype(ml_dtypes.bfloat16), "f32": np.dtype("f4")}
# About a block (32 to 128 elements), a tile (4096), and with a rest of each.
LENGTHS = (1, 7, 31, 127, 128, 129, 1000, 4095, 4097, 9001)


def as_slot(a):
    """As executors take it: bfloat16 as its bits."""
    return a.view(np.uint16) if a.dtype == ml_dtypes.bfloat16 else a


def values(length, t, seed):
    """Every kind of half: normal, subnormal, zeros, infinities, NaN."""
    bits = np.random.default_rng([length, seed]).integers(0, 1 << 16, length).astype(np.uint16)
    return bits.view(TYPES[t]) if t != "f32" else bits.view(np.float16).astype(np.float32)


def check(found, expected, t):
    """The same numbers, signs of zeros included; NaN where NaN is."""
    wanted = expected.astype(TYPES[t])
    got = found.view(TYPES[t]) if t == "bf16" else found
    got, wanted = got.astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_array_equal(got, wanted)
    number = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(wanted)[number])


def arithmetic(x, y, z):
    """Exact in float32 for any order of the operands; x also used where no chain runs."""
    b = Builder("arithmetic")
    i = b.parallel("i")
    a, c, d = b.input("x", x, i), b.input("y", y, i), b.input("z", z, i)
    b.output("u", x, (i,), (a * 2.0 + c) * d - a)
    b.output("v", y, (i,), b.maximum(c, d))
    b.output("w", "f32", (i,), b.where(a > c, a, d))
    return load(b.build(), "cpp")


def check_arithmetic():
    for x in TYPES:
        for y in TYPES:
            program = arithmetic(x, y, "bf16")
            for length in LENGTHS:
                a, c, d = values(length, x, 0), values(length, y, 1), values(length, "bf16", 2)
                u, v, w = program(x=as_slot(a), y=as_slot(c), z=as_slot(d))
                a, c, d = (array.astype(np.float32) for array in (a, c, d))
                check(u, (a * np.float32(2) + c) * d - a, x)
                check(v, np.maximum(c, d), y)
                check(w, np.where(a > c, a, d), "f32")


def check_in_place():
    """A half may be written where it is read."""
    for t in ("f16", "bf16"):
        b = Builder("in_place")
        i = b.parallel("i")
        x = b.inout("x", t, i)
        b.store("x", b.abs(-x) * 3.0)
        program = load(b.build(), "cpp")
        for length in LENGTHS:
            given = values(length, t, 3)
            array = given.copy()
            program(x=as_slot(array))
            check(as_slot(array), np.abs(given.astype(np.float32)) * np.float32(3), t)


def check_signs():
    """Bits that change where they lie, or in a conversion."""
    for x in TYPES:
        for y in TYPES:
            b = Builder("signs")
            i = b.parallel("i")
            a = b.input("x", x, i)
            b.output("u", y, (i,), -a)
            b.output("v", y, (i,), b.abs(a))
            program = load(b.build(), "cpp")
            for length in LENGTHS:
                a = values(length, x, 4)
                u, v = program(x=as_slot(a))
                check(u, -a.astype(np.float32), y)
                check(v, np.abs(a.astype(np.float32)), y)


def check_rounding():
    for t in ("f16", "bf16"):
        b = Builder("rounding")
        i, j = b.parallel("i"), b.reduced("j")
        x = b.input("x", "f32", i, j)
        rounded = getattr(b, f"round_{t}")(x * 1.5)
        b.output("y", "f32", (i, j), rounded)
        b.output("s", t, (i,), b.amax(rounded))
        for length in LENGTHS:
            x = np.random.default_rng(length).standard_normal((3, length), np.float32)
            y, s = load(b.build(), "cpp")(x=x)
            expected = (x * np.float32(1.5)).astype(TYPES[t]).astype(np.float32)
            check(y, expected, "f32")
            check(s, expected.max(-1), t)


CHECKS = [check_arithmetic, check_in_place, check_signs, check_rounding]


@pytest.mark.parametrize("check_", CHECKS)
def test_values(check_):
    with np.errstate(all="ignore"):
        check_()


def test_every_instruction_set():
    from gint.native.loader import load_native

    for name, supported in load_native().instruction_sets():
        if supported:
            subprocess.run(
                [sys.executable, "-m", "tests.kernel.interpreter.cpp.test_half_chains"],
                cwd=ROOT,
                env={**os.environ, "GINT_CPP_ISA": name},
                check=True,
            )


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        for run in CHECKS:
            run()
