"""Choices by a comparison, alone and within chains of arithmetic, have NumPy's bits wherever their
operands lie and whatever they are: the result so far, numbers, tensors, halves, rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from gint.backend import registry
from gint.host.executor import load
from gint.host.frontend import Builder
from tests.kernel.interpreter.cpp.instruction_sets import run_on_each

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.skipif(
        not registry.probe("cpp").usable, reason=f"cpp: {registry.probe('cpp').reason}"
    ),
]
COMPARISONS: dict[str, Callable] = {
    "eq": lambda b, x, y: x == y, "ne": lambda b, x, y: x != y, "lt": lambda b, x, y: x < y,
    "le": lambda b, x, y: x <= y, "gt": lambda b, x, y: x > y, "ge": lambda b, x, y: x >= y,
    "isnan": lambda b, x, y: b.isnan(x), "of a number": lambda b, x, y: b.const(0.5, x.type) < x,
}  # fmt: skip
#: Of a builder, a comparison, tensors x, y, a row of columns w, a column of rows r.
CHOICES: dict[str, Callable] = {
    "alone": lambda b, c, x, y, w, r: b.where(c(b, x, 0.5), x, y),
    "numbers": lambda b, c, x, y, w, r: b.where(c(b, x, 0.5), b.const(2.0, x.type), 0.0),
    "by tensors": lambda b, c, x, y, w, r: b.where(c(b, x, y), x, w) * 2.0,
    "by the result": lambda b, c, x, y, w, r: b.where(c(b, x * y, 0.5), y, 0.0),
    "by the result, of it": lambda b, c, x, y, w, r: b.where(c(b, b.abs(x), 0.5), y, 0.0) + y,
    "the result, twice": lambda b, c, x, y, w, r: (lambda z: b.where(c(b, z, 0.5), z, y) - x)(
        x * w
    ),
    "the result or a number": lambda b, c, x, y, w, r: b.where(c(b, x, 0.5), x * y + w, -1.0),
    "a tensor or the result": lambda b, c, x, y, w, r: b.where(c(b, y, 0.5), x, y * r) * y,
    "one in the other": lambda b, c, x, y, w, r: b.where(
        c(b, x, 0.25), 0.0, b.where(c(b, x, -1.0), 1.0, x * 0.5 + 0.5) * y
    ),
    "both computed": lambda b, c, x, y, w, r: b.where(c(b, x, 0.5), x + y, x - y),
    "mask used twice": lambda b, c, x, y, w, r: (lambda m: b.where(m, x, y) * b.where(m, y, 2.0))(
        c(b, x, 0.5)
    ),
    "then folded": lambda b, c, x, y, w, r: b.where(c(b, x, 0.5), x * y, 0.0),
}
TYPES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}
LENGTHS = (1, 7, 15, 16, 33, 127, 128, 129, 300, 4097)


def programs(comparison: str, choice: str, t: str):
    b = Builder("choice")
    i, j = b.parallel("i"), b.reduced("j") if choice == "then folded" else b.parallel("j")
    x, y = b.input("x", t, i, j), b.input("y", t, i, j)
    w, r = b.input("w", t, j), b.input("r", t, i)
    z = CHOICES[choice](b, COMPARISONS[comparison], x, y, w, r)
    if choice == "then folded":
        b.output("z", t, (i,), b.amax(z))
    else:
        b.output("z", t, (i, j), z)
    return [load(b.build(), name) for name in ("cpp", "python")]


def inputs(length: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(length)
    made = {n: rng.standard_normal((3, length)) for n in "xy"}
    made |= {"w": rng.standard_normal(length), "r": rng.standard_normal(3)}
    made["x"][1, ::3] = rng.choice([np.inf, -np.inf, -0.0, 0.5, np.nan], len(made["x"][1, ::3]))
    made["y"][2, ::5] = made["x"][2, ::5]
    return made


def check(comparison: str, choice: str, t: str, lengths: tuple[int, ...] = LENGTHS) -> None:
    """Both backends' results are the same bits, any NaN counting as one value."""
    cpp, numpy = programs(comparison, choice, t)
    for length in lengths:
        given = {name: in_type(values, t) for name, values in inputs(length).items()}
        got, expected = (np.asarray(program(**given)) for program in (cpp, numpy))
        got, expected = canonical(got, t), canonical(expected, t)
        assert np.array_equal(got, expected), (comparison, choice, t, length)


def in_type(values: np.ndarray, t: str) -> np.ndarray:
    """As executors take it: bfloat16 as its bits."""
    made = values.astype(TYPES[t])
    return made.view(np.uint16) if t == "bf16" else made


def canonical(values: np.ndarray, t: str) -> np.ndarray:
    wide = (values.view(TYPES[t]) if t == "bf16" else values).astype(np.float64)
    return np.where(np.isnan(wide), np.nan, wide).view(np.uint64)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("t", ["f32", "f64", "f16", "bf16"])
def test_choices_have_the_bits_of_numpy(choice, t):
    for comparison in COMPARISONS:
        check(comparison, choice, t)


def test_every_instruction_set_chooses_alike():
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_selections import CHOICES, check\n"
        "for choice in CHOICES:\n"
        "    for t in ('f32', 'f64'):\n"
        "        check('le', choice, t, (16, 129, 300))\n"
    )


@pytest.mark.parametrize("t", ["f32", "f64"])
def test_a_choice_may_be_written_where_its_operand_lies(t):
    for choice, name in itertools.product(("alone", "one in the other", "by the result"), "xy"):
        b = Builder("in_place")
        i = b.parallel("i")
        slots = {n: (b.inout if n == name else b.input)(n, t, i) for n in "xy"}
        x, y = slots["x"], slots["y"]
        z = CHOICES[choice](b, COMPARISONS["ge"], x, y, y, y)
        b.store(name, z)
        results = []
        for backend in ("cpp", "python"):
            given = {n: in_type(v[1], t) for n, v in inputs(300).items() if n in "xy"}
            load(b.build(), backend)(**given)
            results.append(canonical(given[name], t))
        assert np.array_equal(*results), (choice, name)
