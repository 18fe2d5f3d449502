"""Facts of a program that backends and plans ask for."""

import pytest

from gint.program import Program, assemble
from gint.program.facts import has_effects, may_fail, positions_read


def quotient(t: str) -> Program:
    return assemble(f"""
program quotient
axis x parallel
axis y parallel
slot a {t} in (x, y)
slot b {t} in (x, y)
slot c {t} out (x, y)
map
  load.{t} r[0] <- s[a]
  load.{t} r[1] <- s[b]
  floor_div.{t} r[2] <- floor(r[0] / r[1])
  store.{t} s[c] <- r[2]
""")


@pytest.mark.parametrize(("t", "fails"), [("i64", True), ("u8", True), ("f32", False)])
def test_a_division_of_integers_may_fail(t: str, fails: bool) -> None:
    assert may_fail(quotient(t)) is fails


def test_what_cannot_divide_by_zero_does_not_fail() -> None:
    assert not may_fail(positions)


@pytest.mark.parametrize(("divisor", "fails"), [("7", False), ("-1", False), ("0", True)])
def test_a_known_divisor_fails_if_it_is_zero(divisor: str, fails: bool) -> None:
    program = assemble(f"""
program share
axis x parallel
slot a i32 inout (x)
map
  load.i32 r[0] <- s[a]
  const.i32 r[1] <- {divisor}
  floor_div.i32 r[2] <- floor(r[0] / r[1])
  store.i32 s[a] <- r[2]
""")
    assert may_fail(program) is fails


def test_what_has_no_point_has_no_effect() -> None:
    assert has_effects(quotient("i64"), (1, 1))
    assert not has_effects(quotient("i64"), (0, 1))
    assert not has_effects(quotient("i64"), (2**40, 0))


positions = assemble("""
program positions
axis x parallel
axis y parallel
slot c i64 out (x, y)
map
  extent.i64 r[0] <- extent(x)
  index.i64 r[1] <- index(y)
  add.i64 r[2] <- r[0] + r[1]
  store.i64 s[c] <- r[2]
""")


def test_an_extent_reads_no_position() -> None:
    assert positions_read(positions) == {1}
    assert positions_read(quotient("f32")) == frozenset()
