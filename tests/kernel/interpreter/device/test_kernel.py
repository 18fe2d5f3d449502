"""Launching on a device that only notes what it is asked to do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.backend.errors import DIVISION_BY_ZERO
from gint.kernel.interpreter.device import kernel
from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.kernel import DeviceKernel, PointerCheck
from gint.program import VerificationError, assemble, verify

ADD = verify(
    assemble("""
axis m parallel
axis n parallel
slot x f32 in (m, n)
slot y f32 out (m, n)
param p f64
map
  load.f32 r[0] <- s[x]
  param.f64 r[1] <- p[p]
  cast.f32 r[2] <- f32(r[1])
  add.f32 r[3] <- r[0] + r[2]
  store.f32 s[y] <- r[3]
""")
)
EXTENTS, STRIDES = (4, 8), (8, 1)
SLOTS = ((128, 0, STRIDES), (128, 0, STRIDES))
HERE, THERE = 1 << 20, 1 << 21


class Recorder:
    """A dispatcher whose launches return `flag`."""

    def __init__(self, flag: int = 0) -> None:
        self.flag = flag
        self.bound: list[int] = []
        self.launched: list[tuple[tuple[int, ...], dict[str, Any]]] = []

    def build_for(self, word_bits: int) -> Build:
        return Build(word_bits)

    def bind(self, dispatches, build):
        self.bound.append(build.word_bits)

        def run(*pointers: int, **how: Any) -> int:
            self.launched.append((pointers, how))
            return self.flag

        return run


def test_a_prepared_launch_takes_pointers_and_passes_on_what_is_named():
    device = Recorder(flag=4)
    launch = DeviceKernel(ADD, device).prepare(EXTENTS, (1.0,), SLOTS)
    assert launch(HERE, THERE, stream=7) == 4
    assert launch(THERE, HERE) == 4
    assert device.launched == [((HERE, THERE), {"stream": 7}), ((THERE, HERE), {})]
    assert device.bound == [32]


def test_what_never_fits_is_refused_when_it_is_prepared():
    with pytest.raises(VerificationError, match="storage"):
        DeviceKernel(ADD, Recorder()).prepare(EXTENTS, (1.0,), ((127, 0, STRIDES), SLOTS[1]))


@pytest.mark.parametrize(
    "pointers", [(HERE, HERE + 4), (HERE, HERE - 64), (HERE + 1, THERE), (0, THERE)]
)
def test_what_depends_on_pointers_is_refused_at_each_call_and_runs_nothing(pointers):
    device = Recorder()
    launch = DeviceKernel(ADD, device).prepare(EXTENTS, (1.0,), SLOTS)
    for _ in range(2):
        with pytest.raises(VerificationError):
            launch(*pointers)
    assert device.launched == []


def test_memory_shared_element_by_element_is_verified_once(monkeypatch):
    device = Recorder()
    launch = DeviceKernel(ADD, device).prepare(EXTENTS, (1.0,), SLOTS)
    verified = []
    monkeypatch.setattr(kernel, "verify_binding", lambda *given: verified.append(given))
    for _ in range(3):
        launch(HERE, HERE)
    launch(THERE, THERE)  # shared in the same way
    assert len(verified) == 1
    assert len(device.launched) == 4


def test_an_empty_launch_runs_nothing():
    device = Recorder()
    launch = DeviceKernel(ADD, device).prepare((0, 8), (1.0,), SLOTS)
    assert launch(HERE, THERE) == 0
    assert device.bound == device.launched == []


def test_positions_beyond_32_bits_take_the_wider_build():
    device = Recorder()
    big = (1 << 34, 0, (1 << 16, 1))
    launch = DeviceKernel(ADD, device).prepare((1 << 16, 1 << 16), (1.0,), (big, big))
    launch(1 << 40, 1 << 41)
    assert device.bound == [64]


def test_an_error_known_at_launch_is_in_the_flag_of_each():
    text = """
axis n parallel
slot x i64 in (n)
slot y i64 out (n)
param p i64
map
  load.i64 r[0] <- s[x]
  param.i64 r[1] <- p[p]
  const.i64 r[2] <- 7
  floor_div.i64 r[3] <- floor(r[2] / r[1])
  add.i64 r[4] <- r[0] + r[3]
  store.i64 s[y] <- r[4]
"""
    slots = ((32, 0, (1,)),) * 2
    made = DeviceKernel(verify(assemble(text)), Recorder(flag=4))
    assert made.prepare((4,), (0,), slots)(HERE, THERE) == 4 | DIVISION_BY_ZERO
    assert made.prepare((4,), (1,), slots)(HERE, THERE) == 4


# Pointers that need no verification


def covered(pointer: int, extents, slot) -> set[int]:
    _, offset, strides = slot
    return {
        pointer + 4 * (offset + i * strides[0] + j * strides[1]) + byte
        for i in range(extents[0])
        for j in range(extents[1])
        for byte in range(4)
    }


@given(
    st.tuples(st.integers(0, 3), st.integers(0, 4)),
    *[st.tuples(st.integers(0, 20), st.integers(-9, 9), st.integers(-5, 5))] * 2,
    *[st.integers(-2, 400)] * 2,
)
def test_pointers_that_fit_have_no_byte_in_common(extents, x, y, p, q):
    slots = tuple((1 << 20, offset, strides) for offset, *strides in (x, y))
    if PointerCheck(ADD, extents, slots).fits((p, q)) and 0 not in extents:
        assert p > 0
        assert q > 0
        assert p % 4 == q % 4 == 0
        assert not covered(p, extents, slots[0]) & covered(q, extents, slots[1])


@given(st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_neighbours_fit(rows, columns, is_reversed):
    """One tensor ends where the next begins."""
    slots = ((1 << 20, 0, (columns, 1)),) * 2
    pointers = (HERE, HERE + 4 * rows * columns)
    check = PointerCheck(ADD, (rows, columns), slots)
    assert check.fits(pointers[::-1] if is_reversed else pointers)
    assert not check.fits((HERE, HERE + 4 * rows * columns - 4))


def test_ways_of_sharing_that_were_verified_are_remembered_up_to_a_bound():
    check = PointerCheck(ADD, EXTENTS, SLOTS)
    for n in range(kernel._MAX_PROVEN + 1):
        assert not check.fits((HERE, HERE + 4 * n))
        check.remember((HERE, HERE + 4 * n))
    assert all(check.fits((THERE, THERE + 4 * n)) for n in range(kernel._MAX_PROVEN))
    assert not check.fits((HERE, HERE + 4 * kernel._MAX_PROVEN))
    assert not check.fits((HERE + 2, HERE + 2)), "aligned all the same"
