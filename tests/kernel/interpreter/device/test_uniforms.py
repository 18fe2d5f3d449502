"""What is known at launch, as the bits that a device's word holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from gint.backend.errors import DIVISION_BY_ZERO
from gint.host.frontend import Builder
from gint.isa import DTYPES, dtype
from gint.kernel.interpreter.device.uniforms import evaluate
from gint.kernel.interpreter.numpy.interpreter import run_uniforms
from gint.program import assemble, verify
from tests.strategies import constants, programs

COMPUTE = [t for t in DTYPES if not t.is_storage_only]


def evaluated(program, extents=(), params=()):
    return evaluate(program, tuple(program.uniforms.values()), extents, params)


@pytest.mark.parametrize("t", COMPUTE, ids=str)
def test_a_word_holds_a_value_from_its_lowest_byte_on(t):
    @given(constants(t.name))
    def check(value):
        b = Builder("constant")
        n = b.parallel("n")
        b.output("y", t.name, (n,), b.const(value, t.name))
        found, error = evaluated(b.build().program)
        (bits,) = found.values()
        stored = np.array(math.nan if value != value else value, t.numpy)
        assert 0 <= bits < 1 << 8 * t.itemsize
        assert bits.to_bytes(t.itemsize, "little") == stored.tobytes()
        assert error == 0

    check()


TEXT = """
axis n parallel
slot y f32 out (n)
param scale f64
map
  param.f64 r[0] <- p[scale]
  cast.f32 r[1] <- f32(r[0])
  extent.i64 r[2] <- extent(n)
  cast.f32 r[3] <- f32(r[2])
  div.f32 r[4] <- r[1] / r[3]
  store.f32 s[y] <- r[4]
"""


def test_parameters_and_extents_are_computed_with_as_a_program_would():
    program = verify(assemble(TEXT)).program
    found, error = evaluated(program, (3,), (0.1,))
    assert found[4] == int(np.float32(np.float32(0.1) / np.float32(3)).view(np.uint32))
    assert found[2] == 3
    assert error == 0


def test_signs_of_zero_and_nan_are_bits():
    program = verify(assemble(TEXT)).program
    assert evaluated(program, (3,), (-0.0,))[0][4] == 1 << 31
    nan = evaluated(program, (3,), (math.nan,))[0][4]
    assert np.isnan(np.uint32(nan).view(np.float32))


def test_what_fails_at_launch_sets_the_flag():
    text = """
axis n parallel
slot y i64 out (n)
map
  const.i64 r[0] <- 7
  extent.i64 r[1] <- extent(n)
  floor_div.i64 r[2] <- floor(r[0] / r[1])
  store.i64 s[y] <- r[2]
"""
    program = verify(assemble(text)).program
    assert evaluated(program, (2,))[1] == 0
    assert evaluated(program, (0,))[1] == DIVISION_BY_ZERO


@given(programs())
def test_the_bits_are_numpys(verified):
    program = verified.program
    extents = tuple(range(2, 2 + len(program.axes)))
    params = tuple(3 if p.dtype == dtype("i64") else 0.5 for p in program.params)
    found, error = evaluated(program, extents, params)
    values, flag = run_uniforms(program, program.uniforms.values(), extents, params)
    assert error == flag
    assert list(found) == list(program.uniforms)
    for r, bits in found.items():
        t = verified.types[r]
        value = values[r].reshape(())
        assert value.dtype == t.numpy
        assert bits == int.from_bytes(value.tobytes(), "little")
