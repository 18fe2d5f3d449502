"""Memory of launches: what may be written where it is read, and what must not run."""

from __future__ import annotations

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from gint.host.tensors import view_of
from gint.program import Binding, SlotBinding, VerificationError, assemble
from tests.kernel.interpreter.cpp.beside_numpy import random_values, softmax
from tests.memory import launch_once

pytestmark = pytest.mark.cpp


def test_in_place():
    """A slot may be written where it is read, however often its old value is used later."""
    program = assemble(IN_PLACE)
    for n in (1, 100, 5000):
        x = np.arange(n, dtype=np.float32)
        z = np.empty_like(x)
        load(program, "cpp")(x=x, z=z)
        np.testing.assert_array_equal(x, np.arange(n) * 2)
        np.testing.assert_array_equal(z, np.arange(n) * 3)


IN_PLACE = """
program in_place
axis i parallel
slot x f32 inout (i)
slot z f32 out (i)
map
  load.f32   r[0] <- s[x]
  add.f32    r[1] <- r[0] + r[0]
  store.f32  s[x] <- r[1]
  load.f32   r[2] <- s[x]
  sub.f32    r[3] <- r[2] - r[0]
  add.f32    r[4] <- r[3] + r[1]
  store.f32  s[z] <- r[4]
"""


def test_output_over_an_input_it_equals():
    b = Builder("over")
    i, j = b.parallel("i"), b.reduced("j")
    b.output("y", "f32", (i, j), softmax(b, b.input("x", "f32", i, j)))
    verified = b.build()
    x = random_values("f32", (65, 300), np.random.default_rng(10), False)
    (wanted,) = load(verified, "cpp")(x=x)
    in_place = x.copy()
    load(verified, "cpp")(x=in_place, y=in_place)
    np.testing.assert_array_equal(in_place, wanted)


def copy_kernel():
    b = Builder("copy")
    i, j = b.parallel("i"), b.parallel("j")
    b.output("y", "f32", (i, j), b.input("x", "f32", i, j))
    return load(b.build(), "cpp").kernel


def test_prepared_launch():
    kernel = copy_kernel()
    x = np.arange(70 * 40, dtype=np.float32).reshape(70, 40)
    y = np.zeros_like(x)
    slots = ((x.nbytes, 0, (40, 1)), (y.nbytes, 0, (40, 1)))
    ready = kernel.prepare((70, 40), (), slots)
    at = [a.__array_interface__["data"][0] for a in (x, y)]
    assert ready(*at) == 0
    np.testing.assert_array_equal(x, y)
    assert ready(at[0], at[0]) == 0  # the very same elements
    with pytest.raises(VerificationError, match="other than element by element"):
        ready(at[0], at[0] + 4)
    with pytest.raises(VerificationError, match="not a multiple"):
        ready(at[0], at[1] + 1)
    with pytest.raises(VerificationError, match="no memory"):
        ready(0, at[1])
    with pytest.raises(VerificationError, match="would touch"):
        kernel.prepare((70, 41), (), slots)


@pytest.mark.parametrize(
    "change",
    [
        {"extents": (70, 41)}, {"extents": (-1, 40)}, {"extents": (2**62, 2**62)},
        {"offset": 1}, {"offset": -1}, {"offset": 2**63}, {"strides": (41, 1)},
        {"strides": (-40, 1)}, {"strides": (2**62, 1)}, {"size": 70 * 40 * 4 - 1},
        {"size": -1}, {"pointer": 0}, {"pointer": -8}, {"pointer": 2**64},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("which", [0, 1])
def test_bindings_that_must_not_run(change, which):
    kernel = copy_kernel()
    x, y = np.ones((70, 40), np.float32), np.zeros((70, 40), np.float32)
    slots = []
    for n, array in enumerate((x, y)):
        facts = {"pointer": view_of(array).pointer, "size": array.nbytes, "offset": 0,
                 "strides": (40, 1)}  # fmt: skip
        if n == which:
            facts |= {k: v for k, v in change.items() if k != "extents"}
        slots.append(SlotBinding(*facts.values()))
    with pytest.raises(VerificationError):
        launch_once(kernel, Binding(change.get("extents", (70, 40)), (), tuple(slots)))
    assert not y.any()


def test_outputs_may_not_overlap():
    kernel = copy_kernel()
    x = np.ones((70, 40), np.float32)
    p, n = view_of(x).pointer, x.nbytes
    with pytest.raises(VerificationError, match="two positions share"):
        launch_once(kernel, Binding((4, 4), (), (SlotBinding(p, n, 0, (40, 1)),
                                                SlotBinding(p, n, 400, (1, 1)))))  # fmt: skip
    with pytest.raises(VerificationError, match="overlaps slot"):
        launch_once(kernel, Binding((4, 4), (), (SlotBinding(p, n, 0, (40, 1)),
                                                SlotBinding(p, n, 0, (1, 4)))))  # fmt: skip
    # Interleaved columns share no element.
    launch_once(kernel, Binding((4, 4), (), (SlotBinding(p, n, 0, (40, 1)),
                                            SlotBinding(p, n, 8, (40, 1)))))  # fmt: skip
