"""What is only loaded and stored goes from slot to slot: every layout, every size of element."""

import itertools

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from tests import fences
from tests.kernel.interpreter.cpp.beside_numpy import launch
from tests.kernel.interpreter.cpp.instruction_sets import run_on_each

pytestmark = pytest.mark.cpp

TYPES = {"f32": "f4", "f64": "f8", "f16": "f2", "bf16": "u2", "i8": "i1", "i32": "i4", "bool": "?"}


def copies(t, rank, order):
    b = Builder("copy")
    axes = [b.parallel(f"d{n}") for n in range(rank)]
    x = b.input("x", t, *axes)
    b.output("y", t, tuple(axes[n] for n in order), x)
    return b.build()


@pytest.mark.parametrize("t", TYPES)
@pytest.mark.parametrize(
    "shape",
    [
        (64, 64), (65, 130), (300, 17), (1, 5), (3, 40, 70), (5, 9, 64),
        (77, 8), (5, 83), (2, 90, 7), (70, 12), (3, 500, 4), (2, 65, 30),
    ],
)  # fmt: skip
def test_permutations(t, shape):
    raw = np.random.default_rng(3).integers(0, 2 if t == "bool" else 120, (2, *shape))
    memory = np.ascontiguousarray(raw.astype(TYPES[t]).repeat(2, axis=-1))
    for x in (
        memory[0, ..., : shape[-1]],
        memory[1, ..., ::2],
        memory[0, ..., shape[-1] - 1 :: -1],
    ):
        x = x[..., : shape[-1]]
        for order in itertools.permutations(range(len(shape))):
            program = copies(t, len(shape), order)
            (y,), flag = launch(load(program, "cpp"), {"x": x}, shape)
            assert flag == 0
            np.testing.assert_array_equal(y, x.transpose(order))


SIZES = {"u8": "u1", "i16": "i2", "f32": "f4", "f64": "f8"}


@pytest.mark.skipif(not fences.AVAILABLE, reason="needs mprotect")
def test_few_lines_are_put_together_and_taken_apart():
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_moves import SIZES, turn_fenced\n"
        "for t in SIZES:\n"
        "    for few in (2, 3, 4, 5):\n"
        "        for n in (1, 15, 33, 2049):\n"
        "            turn_fenced(t, (few, n))\n"
        "            turn_fenced(t, (n, few))\n"
    )


def turn_fenced(t, shape):
    """The transpose of what ends where a page begins that nobody may read."""
    whole = np.arange(np.prod(shape)).reshape(shape).astype(SIZES[t])
    x = fences.fenced(whole, at_end=True)
    (y,), _ = launch(load(copies(t, 2, (1, 0)), "cpp"), {"x": x}, shape)
    np.testing.assert_array_equal(y, whole.T)


@pytest.mark.skipif(not fences.AVAILABLE, reason="needs mprotect")
def test_elements_and_short_lines_apart():
    run_on_each(
        "from tests.kernel.interpreter.cpp.test_moves import SIZES, gather_fenced\n"
        "for t in SIZES:\n"
        "    for step in (2, 3, 4, 5):\n"
        "        for n in (1, 15, 16, 17, 65, 300):\n"
        "            gather_fenced(t, (3, n * step - step + 1), (1, step))\n"
        "    for columns in (2, 4, 8, 16, 32):\n"
        "        gather_fenced(t, (401, columns), (2, 1))\n"
    )


def gather_fenced(t, shape, steps):
    """Every so many rows and columns of what ends where a page begins that nobody may read."""
    whole = np.arange(np.prod(shape)).reshape(shape).astype(SIZES[t])
    x = fences.fenced(whole, at_end=True)[:: steps[0], :: steps[1]]
    (y,), _ = launch(load(copies(t, 2, (0, 1)), "cpp"), {"x": x}, x.shape)
    np.testing.assert_array_equal(y, whole[:: steps[0], :: steps[1]])


@pytest.mark.parametrize("t", SIZES)
def test_fills(t):
    """Of any length, short and long enough for the processor's own loop, and nothing beyond."""
    b = Builder("fill")
    b.output("y", t, (b.parallel("i"),), b.const(3, t))
    program = load(b.build(), "cpp")
    for length in (1, 63, 4097, 16383, 32769, 200003):
        y = np.zeros(length + 64, SIZES[t])
        program(extents={"i": length}, y=y[32 : length + 32])
        assert (y[32 : length + 32] == 3).all()
        assert not y[:32].any()
        assert not y[length + 32 :].any()


def test_bits_of_half_precision_are_kept():
    """Also those of a NaN that a conversion would change."""
    bits = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    for t, x in (("f16", bits.view(np.float16)), ("bf16", bits)):
        for order in ((0, 1), (1, 0)):
            (y,), _ = launch(load(copies(t, 2, order), "cpp"), {"x": x}, (256, 256))
            np.testing.assert_array_equal(y.view(np.uint16), bits.transpose(order))


def test_a_slot_that_is_also_read_is_stored_in_its_turn():
    """The transposed load must not go to a slot whose old value another instruction needs."""
    b = Builder("exchange")
    i, j = b.parallel("i"), b.parallel("j")
    x, y = b.input("x", "f32", i, j), b.input("y", "f32", j, i)
    b.output("z", "f32", (j, i), x)
    b.output("w", "f32", (i, j), y)
    inputs = {"x": np.arange(6400, dtype=np.float32).reshape(64, 100)}
    inputs["y"] = -inputs["x"].reshape(100, 64)
    (z, w), _ = launch(load(b.build(), "cpp"), inputs, (64, 100))
    np.testing.assert_array_equal(z, inputs["x"].T)
    np.testing.assert_array_equal(w, inputs["y"].T)
