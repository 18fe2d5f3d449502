"""Launches and products recorded, and run in one call."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest

from gint.backend.errors import raise_for
from gint.host.executor import Executable
from gint.host.frontend import Builder
from gint.host.memory import address
from gint.host.recall import WatchedLaunch
from gint.host.selection import products_for, select
from gint.host.sequence import recorded_sequence
from gint.program import VerificationError
from gint.quantized import QuantizedWeights, format_of, quantize

pytestmark = pytest.mark.cpp


def launch(record, *arrays, **params):
    """A program over one axis, bound to arrays of one length; the last is written."""
    b = Builder("step")
    record(b, b.parallel("x"))
    executable = Executable(b.build(), select("cpp"))
    slots = [(a.nbytes, 0, (1,)) for a in arrays]
    bound = executable.kernel.prepare((len(arrays[0]),), tuple(params.values()), tuple(slots))
    return WatchedLaunch(bound, arrays, False)


def add_one(b, x):
    b.output("y", "f32", (x,), b.input("a", "f32", x) + 1.0)


def floats(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def test_steps_run_in_their_order():
    a, b, c = floats(5), floats(5), floats(5)
    run = recorded_sequence([launch(add_one, a, b), launch(add_one, b, c)], 0, {})
    run()
    np.testing.assert_array_equal(c, a + 1 + 1)
    a[:] = 7
    run()
    np.testing.assert_array_equal(c, 9)


def test_operands_that_move():
    """Two are given, one stays, one lies further on by a count."""
    a, b, c = floats(5), floats(5), floats(5)
    table, out, counted = floats(4, 5), floats(5), floats(3, 5)
    first = counted[1]
    steps = [launch(add_one, a, b), launch(add_one, b, c), launch(add_one, b, first)]
    moving, by_count = {address(a): 0, address(c): 1}, {address(first): first.nbytes}
    run = recorded_sequence(steps, 2, moving, by_count)
    before = c.copy()
    for row, count in enumerate((0, -1, 1, 0)):
        run(address(table[row]), address(out), count)
        np.testing.assert_array_equal(out, table[row] + 1 + 1)
        np.testing.assert_array_equal(counted[1 + count], out)
    np.testing.assert_array_equal(c, before)
    with pytest.raises(TypeError, match="takes 2 addresses or arrays and 1 sizes, not 2"):
        run(address(table[0]), address(out))


@pytest.mark.parametrize("rows", [1, 3])
def test_products_are_steps(rows):
    shape, form = (19, 64), format_of("q80")
    weights = QuantizedWeights(quantize(floats(*shape), form), shape, form)
    products = products_for(select("cpp"))
    packed = products.prepare(weights)
    x, y, moved, wanted = floats(rows, 64), *(np.empty((rows, 19), np.float32) for _ in range(3))
    step = WatchedLaunch(products.bind(packed, True), (x, packed, y), True)
    sequence = recorded_sequence([step], 1, {address(y): 0})
    del packed, step  # the sequence keeps what it needs
    sequence(address(moved))
    products.multiply(x, weights, wanted)
    np.testing.assert_array_equal(moved, wanted)


def test_an_error_stops_it():
    """A division by 0 is raised; what comes behind has not run."""
    a, b, c = (np.ones(3, np.int32) for _ in range(3))

    def divide(b, x):
        b.output("y", "i32", (x,), b.floor_div(b.input("p", "i32", x), b.input("q", "i32", x)))

    def copy(b, x):
        b.output("y", "i32", (x,), b.input("a", "i32", x) + 5)

    run = recorded_sequence([launch(divide, a, b, c), launch(copy, a, b)], 0, {})
    b[1] = 0
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run()
    assert b.tolist() == [1, 0, 1]
    b[1] = 1
    run()
    assert b.tolist() == [6, 6, 6]


def test_an_address_that_must_not_be_is_refused():
    a, b = floats(5), floats(5)
    run = recorded_sequence([launch(add_one, a, b)], 1, {address(b): 0})
    with pytest.raises(VerificationError):
        run(address(a) + 4)  # written while it is read
    with pytest.raises(VerificationError):
        run(0)


def test_what_is_not_native_is_refused():
    a, b = floats(5), floats(5)
    with pytest.raises(TypeError, match="Only native launches are steps"):
        recorded_sequence([WatchedLaunch(lambda *_: 0, (a, b), False)], 0, {})
    with pytest.raises(ValueError, match="an argument that there is not"):
        recorded_sequence([launch(add_one, a, b)], 1, {address(a): 1})
    with pytest.raises(TypeError, match="takes 1 addresses or arrays and 0 sizes, not 2"):
        recorded_sequence([launch(add_one, a, b)], 1, {})(0, 0)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such timer")
def test_signals_are_heard_between_steps():
    """Steps of a second of the processor's or more; a handler that raises ends them."""
    a, b, last = floats(1 << 20), floats(1 << 20), np.zeros(5, np.float32)

    def slow(b, x):
        y = b.input("a", "f32", x)
        for _ in range(20):
            y = b.sin(y)
        b.output("y", "f32", (x,), y)

    step = launch(slow, a, b)
    begin = time.process_time()
    raise_for(step.launch(a, b))
    count = int(2 / (time.process_time() - begin)) + 20
    run = recorded_sequence([step] * count + [launch(add_one, floats(5), last)], 0, {})
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            run()
        assert not last.any()
    finally:
        signal.signal(signal.SIGALRM, before)
